-- The example application: a telephone service for businesses with many locations.
--
-- Run as a superuser, in this order: schema.sql, data.sql, protect.sql, tour.sh.
-- Nothing here grants the API role anything: protect.sql does so, after the rows are guarded.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE EXTENSION IF NOT EXISTS revdesk_auth CASCADE;

BEGIN;

-- Roles belong to the whole cluster, so another database may have made them already.
-- authenticator is the login of the HTTP layer; it inherits nothing and must switch to api_user.
SELECT format('CREATE ROLE %I %s', wanted.name, wanted.attributes)
FROM (
  VALUES
    ('app_owner', 'NOLOGIN'),
    ('api_user', 'NOLOGIN'),
    ('authenticator', 'LOGIN NOINHERIT')
) AS wanted (name, attributes)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
\gexec

GRANT api_user TO authenticator;

CREATE SCHEMA api AUTHORIZATION app_owner;
COMMENT ON SCHEMA api IS
  'RevDesk example: phone numbers, calls, contacts and caller trust, each row visible only to whom it belongs';

SET LOCAL ROLE app_owner;

-- Who a row belongs to, in every table that has these columns:
--   tenant_id    an organization or one of its sub-entities
--   umbrella_id  that organization, or the sub-entity's; kept right by revdesk_protect()
--   owner_id     with tenant_id null: the person whose personal row it is
-- A row with neither tenant nor owner would be visible to nobody, hence the CHECKs.
--
-- Keys: a unique violation tells that a value exists, and it is checked without row security. So keys
-- start with whom the row belongs to, or are random uuids, which nobody can guess. A primary key
-- cannot hold a null, so tables with personal rows take the second way. There are no foreign keys
-- between these tables for the same reason.
--
-- Fixed sets of words are text with a CHECK, not enums: under row security only leakproof operators
-- reach an index, and those of enums are not leakproof.

CREATE TABLE api.phone_numbers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id uuid,
  umbrella_id uuid,
  owner_id uuid,
  number text NOT NULL CHECK (number ~ '^\+[1-9][0-9]{6,14}$'),
  label text NOT NULL DEFAULT '',
  brand text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (tenant_id IS NOT NULL OR owner_id IS NOT NULL),
  UNIQUE (tenant_id, number)
);
CREATE INDEX ON api.phone_numbers (umbrella_id, number);
CREATE UNIQUE INDEX ON api.phone_numbers (owner_id, number) WHERE tenant_id IS NULL;

COMMENT ON TABLE api.phone_numbers IS 'Telephone numbers that calls are made from and answered on';
COMMENT ON COLUMN api.phone_numbers.id IS 'Identifier of the number';
COMMENT ON COLUMN api.phone_numbers.tenant_id IS 'Organization or sub-entity that has the number; null for a personal one';
COMMENT ON COLUMN api.phone_numbers.umbrella_id IS 'Organization above the tenant; filled in by the database';
COMMENT ON COLUMN api.phone_numbers.owner_id IS 'Person who has the number, when it is a personal one';
COMMENT ON COLUMN api.phone_numbers.number IS 'The number in E.164 form, as in +12125550123';
COMMENT ON COLUMN api.phone_numbers.label IS 'What the number is for, as in Front desk';
COMMENT ON COLUMN api.phone_numbers.brand IS 'Brand that the number calls under';
COMMENT ON COLUMN api.phone_numbers.created_at IS 'When the number was added';

CREATE TABLE api.calls (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id uuid,
  umbrella_id uuid,
  owner_id uuid,
  direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
  caller text NOT NULL,
  callee text NOT NULL,
  status text NOT NULL CHECK (status IN ('in_progress', 'completed', 'missed', 'voicemail', 'failed')),
  started_at timestamptz NOT NULL DEFAULT now(),
  duration_seconds integer NOT NULL DEFAULT 0 CHECK (duration_seconds >= 0),
  recording_url text,
  CHECK (tenant_id IS NOT NULL OR owner_id IS NOT NULL)
);
-- An organization's newest page and a sub-entity's come out of these without a sort. revdesk_protect() adds the
-- index on owner_id.
CREATE INDEX ON api.calls (tenant_id, started_at);
CREATE INDEX ON api.calls (umbrella_id, started_at);

COMMENT ON TABLE api.calls IS 'Calls made and received';
COMMENT ON COLUMN api.calls.id IS 'Identifier of the call';
COMMENT ON COLUMN api.calls.tenant_id IS 'Organization or sub-entity that the call belongs to; null for a personal one';
COMMENT ON COLUMN api.calls.umbrella_id IS 'Organization above the tenant; filled in by the database';
COMMENT ON COLUMN api.calls.owner_id IS 'Person whose call it is, when it is a personal one';
COMMENT ON COLUMN api.calls.direction IS 'inbound or outbound';
COMMENT ON COLUMN api.calls.caller IS 'Number that called, in E.164 form';
COMMENT ON COLUMN api.calls.callee IS 'Number that was called, in E.164 form';
COMMENT ON COLUMN api.calls.status IS 'in_progress, completed, missed, voicemail or failed';
COMMENT ON COLUMN api.calls.started_at IS 'When the call began';
COMMENT ON COLUMN api.calls.duration_seconds IS 'Seconds that the parties talked; 0 when nobody answered';
COMMENT ON COLUMN api.calls.recording_url IS 'Where the recording is, when the call was recorded';

CREATE TABLE api.contacts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id uuid,
  umbrella_id uuid,
  owner_id uuid,
  first_name text NOT NULL,
  last_name text NOT NULL,
  company text,
  phone text,
  email text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (tenant_id IS NOT NULL OR owner_id IS NOT NULL)
);
CREATE INDEX ON api.contacts (tenant_id, last_name);
CREATE INDEX ON api.contacts (umbrella_id, last_name);

COMMENT ON TABLE api.contacts IS 'People that a tenant, or a person, talks to';
COMMENT ON COLUMN api.contacts.id IS 'Identifier of the contact';
COMMENT ON COLUMN api.contacts.tenant_id IS 'Organization or sub-entity that keeps the contact; null for a personal one';
COMMENT ON COLUMN api.contacts.umbrella_id IS 'Organization above the tenant; filled in by the database';
COMMENT ON COLUMN api.contacts.owner_id IS 'Person who keeps the contact, when it is a personal one';
COMMENT ON COLUMN api.contacts.first_name IS 'First name';
COMMENT ON COLUMN api.contacts.last_name IS 'Last name';
COMMENT ON COLUMN api.contacts.company IS 'Company that the contact works for';
COMMENT ON COLUMN api.contacts.phone IS 'Number of the contact, in E.164 form';
COMMENT ON COLUMN api.contacts.email IS 'Mail address of the contact';
COMMENT ON COLUMN api.contacts.created_at IS 'When the contact was added';

-- Always a tenant's, never personal, so the tenant can lead the primary key.
CREATE TABLE api.caller_trust_registrations (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  umbrella_id uuid,
  business_name text NOT NULL,
  brand text NOT NULL,
  number text CHECK (number ~ '^\+[1-9][0-9]{6,14}$'),
  attestation text NOT NULL CHECK (attestation IN ('A', 'B', 'C')),
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'verified', 'rejected')),
  registered_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE NULLS NOT DISTINCT (tenant_id, brand, number)
);
CREATE INDEX ON api.caller_trust_registrations (umbrella_id, brand);

COMMENT ON TABLE api.caller_trust_registrations IS
  'Registrations that let called phones show who is calling. A sub-entity also reads those of its umbrella organization.';
COMMENT ON COLUMN api.caller_trust_registrations.tenant_id IS 'Organization or sub-entity that registered';
COMMENT ON COLUMN api.caller_trust_registrations.id IS 'Identifier of the registration';
COMMENT ON COLUMN api.caller_trust_registrations.umbrella_id IS 'Organization above the tenant; filled in by the database';
COMMENT ON COLUMN api.caller_trust_registrations.business_name IS 'Name that the called phone shows';
COMMENT ON COLUMN api.caller_trust_registrations.brand IS 'Brand that the registration is for';
COMMENT ON COLUMN api.caller_trust_registrations.number IS 'Number that it is for; null for every number of the brand';
COMMENT ON COLUMN api.caller_trust_registrations.attestation IS
  'STIR/SHAKEN level: A (caller and number known), B (caller known) or C (gateway)';
COMMENT ON COLUMN api.caller_trust_registrations.status IS 'pending, verified or rejected';
COMMENT ON COLUMN api.caller_trust_registrations.registered_at IS 'When it was registered';

CREATE TABLE api.personal_notes (
  owner_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  title text NOT NULL,
  body text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (owner_id, id)
);

COMMENT ON TABLE api.personal_notes IS 'Notes of a person, belonging to no organization';
COMMENT ON COLUMN api.personal_notes.owner_id IS 'Person whose note it is';
COMMENT ON COLUMN api.personal_notes.id IS 'Identifier of the note';
COMMENT ON COLUMN api.personal_notes.title IS 'Title';
COMMENT ON COLUMN api.personal_notes.body IS 'Text';
COMMENT ON COLUMN api.personal_notes.created_at IS 'When the note was written';

-- Which registration counts for each number: the tenant's own before its umbrella's, and one for
-- exactly this number before one for the whole brand. security_invoker makes row security look at the
-- caller; without it the view would show what its owner may see.
CREATE VIEW api.caller_trust WITH (security_invoker = true) AS
SELECT
  n.id AS phone_number_id,
  n.tenant_id,
  n.number,
  n.brand,
  r.business_name,
  r.attestation,
  r.id AS registration_id,
  CASE
    WHEN r.tenant_id = n.tenant_id THEN 'own'
    WHEN r.tenant_id IS NOT NULL THEN 'umbrella'
    ELSE 'none'
  END AS registered_by
FROM api.phone_numbers AS n
LEFT JOIN LATERAL (
  SELECT r.id, r.tenant_id, r.business_name, r.attestation
  FROM api.caller_trust_registrations AS r
  WHERE r.tenant_id IN (n.tenant_id, n.umbrella_id)
    AND r.brand = n.brand
    AND (r.number = n.number OR r.number IS NULL)
    AND r.status = 'verified'
  ORDER BY r.tenant_id = n.tenant_id DESC, r.number IS NULL
  LIMIT 1
) AS r ON true;

COMMENT ON VIEW api.caller_trust IS
  'For each number the registration that counts: the tenant''s own, else its umbrella''s, else none';
COMMENT ON COLUMN api.caller_trust.phone_number_id IS 'Identifier of the number';
COMMENT ON COLUMN api.caller_trust.tenant_id IS 'Organization or sub-entity that has the number';
COMMENT ON COLUMN api.caller_trust.number IS 'The number in E.164 form';
COMMENT ON COLUMN api.caller_trust.brand IS 'Brand that the number calls under';
COMMENT ON COLUMN api.caller_trust.business_name IS 'Name that the called phone shows';
COMMENT ON COLUMN api.caller_trust.attestation IS 'STIR/SHAKEN level: A, B or C';
COMMENT ON COLUMN api.caller_trust.registration_id IS 'Identifier of the registration';
COMMENT ON COLUMN api.caller_trust.registered_by IS 'Whose registration it is: own, umbrella or none';

COMMIT;
