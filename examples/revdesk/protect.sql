-- Puts the tables under row security, then lets the API role at them.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

BEGIN;

SELECT revdesk_protect('api.phone_numbers', owner_column => 'owner_id', umbrella_column => 'umbrella_id')
\g /dev/null
SELECT revdesk_protect('api.calls', owner_column => 'owner_id', umbrella_column => 'umbrella_id')
\g /dev/null
SELECT revdesk_protect('api.contacts', owner_column => 'owner_id', umbrella_column => 'umbrella_id')
\g /dev/null
-- walk_up: a sub-entity's key also reads its umbrella's registrations, and never writes them.
SELECT revdesk_protect('api.caller_trust_registrations', umbrella_column => 'umbrella_id', walk_up => true)
\g /dev/null
-- No tenant column: the rows are personal, and only their owner's user key sees them.
SELECT revdesk_protect('api.personal_notes', tenant_column => NULL, owner_column => 'owner_id')
\g /dev/null

-- A client need not say whom a new row belongs to: it is the key's tenant or, with a user key, the person.
-- These are conveniences; row security checks the result whatever the client sends.
ALTER TABLE api.phone_numbers
  ALTER tenant_id SET DEFAULT revdesk_tenant_id(),
  ALTER owner_id SET DEFAULT revdesk_user_id();
ALTER TABLE api.calls
  ALTER tenant_id SET DEFAULT revdesk_tenant_id(),
  ALTER owner_id SET DEFAULT revdesk_user_id();
ALTER TABLE api.contacts
  ALTER tenant_id SET DEFAULT revdesk_tenant_id(),
  ALTER owner_id SET DEFAULT revdesk_user_id();
ALTER TABLE api.caller_trust_registrations
  ALTER tenant_id SET DEFAULT revdesk_tenant_id();
ALTER TABLE api.personal_notes
  ALTER owner_id SET DEFAULT revdesk_user_id();

-- Not before this point: until now nobody but the owner could reach the rows.
GRANT USAGE ON SCHEMA api TO api_user;
GRANT SELECT, INSERT, UPDATE, DELETE
  ON api.phone_numbers, api.calls, api.contacts, api.caller_trust_registrations, api.personal_notes
  TO api_user;
GRANT SELECT ON api.caller_trust TO api_user;

-- The endpoints of the API, and with them the right to manage, by an admin key, what is in its scope.
SELECT revdesk_expose('api', '{api_user}')
\g /dev/null

COMMIT;
