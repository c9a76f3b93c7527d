-- Example data: 3 umbrella organizations with 15 sub-entities, 12 people, 240,000 calls.
--
-- The same on every machine: ids are fixed or hashes of a counter, everything else in a row follows
-- from its id, and times count from a fixed day. Telephone numbers are from the range that the North
-- American plan keeps for fiction (555-0100 to 555-0199 of each area), mail addresses end in .example.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

BEGIN;

-- Tenants --------------------------------------------------------------------------------------
-- The first eight digits of an id tell the umbrella: d0 dental, ca cars, 40 hotels. "share" is the part
-- (of 1,000) of the calls and contacts that the tenant gets, "area" the area code of its numbers.

CREATE TEMPORARY TABLE demo_tenant (
  id uuid PRIMARY KEY,
  umbrella_id uuid,
  name text NOT NULL,
  area integer NOT NULL UNIQUE,
  share integer NOT NULL
) ON COMMIT DROP;

INSERT INTO demo_tenant (id, umbrella_id, name, area, share)
VALUES
  ('d0000000-0000-4000-8000-000000000000', NULL, 'Brightwater Dental Group', 206, 12),
  ('d0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000000', 'Brightwater Riverside', 253, 88),
  ('d0000000-0000-4000-8000-000000000002', 'd0000000-0000-4000-8000-000000000000', 'Brightwater Oakmont', 360, 71),
  ('d0000000-0000-4000-8000-000000000003', 'd0000000-0000-4000-8000-000000000000', 'Brightwater Harbour Point', 425, 54),
  ('d0000000-0000-4000-8000-000000000004', 'd0000000-0000-4000-8000-000000000000', 'Brightwater Cedar Hill', 509, 43),
  ('d0000000-0000-4000-8000-000000000005', 'd0000000-0000-4000-8000-000000000000', 'Brightwater Maple Street', 503, 32),
  ('ca000000-0000-4000-8000-000000000000', NULL, 'Halden Motor Group', 312, 20),
  ('ca000000-0000-4000-8000-000000000001', 'ca000000-0000-4000-8000-000000000000', 'Halden North', 224, 110),
  ('ca000000-0000-4000-8000-000000000002', 'ca000000-0000-4000-8000-000000000000', 'Halden South', 708, 96),
  ('ca000000-0000-4000-8000-000000000003', 'ca000000-0000-4000-8000-000000000000', 'Halden Airport', 847, 64),
  ('ca000000-0000-4000-8000-000000000004', 'ca000000-0000-4000-8000-000000000000', 'Halden Certified Used', 630, 50),
  ('40000000-0000-4000-8000-000000000000', NULL, 'Larkspur Hotels', 415, 26),
  ('40000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000000', 'Larkspur Old Town', 510, 84),
  ('40000000-0000-4000-8000-000000000002', '40000000-0000-4000-8000-000000000000', 'Larkspur Bayside', 650, 77),
  ('40000000-0000-4000-8000-000000000003', '40000000-0000-4000-8000-000000000000', 'Larkspur Grand Station', 916, 61),
  ('40000000-0000-4000-8000-000000000004', '40000000-0000-4000-8000-000000000000', 'Larkspur Vineyard', 707, 48),
  ('40000000-0000-4000-8000-000000000005', '40000000-0000-4000-8000-000000000000', 'Larkspur Airport', 628, 37),
  ('40000000-0000-4000-8000-000000000006', '40000000-0000-4000-8000-000000000000', 'Larkspur Residences', 408, 27);

SELECT revdesk_create_organization(name, id)
FROM demo_tenant
WHERE umbrella_id IS NULL
ORDER BY id
\g /dev/null

SELECT revdesk_create_sub_entity(umbrella_id, name, id)
FROM demo_tenant
WHERE umbrella_id IS NOT NULL
ORDER BY id
\g /dev/null

-- People ---------------------------------------------------------------------------------------
-- Theo keeps the books of two locations of different umbrellas. Robin works alone, is a member of
-- nothing and has personal rows only. The numbers say how many personal rows each has.

CREATE TEMPORARY TABLE demo_user (
  id uuid PRIMARY KEY,
  subject text NOT NULL,
  member_of uuid[] NOT NULL,
  calls integer NOT NULL,
  contacts integer NOT NULL,
  notes integer NOT NULL,
  numbers integer NOT NULL
) ON COMMIT DROP;

INSERT INTO demo_user (id, subject, member_of, calls, contacts, notes, numbers)
VALUES
  ('00000000-0000-4000-8000-000000000001', 'maya.okafor@brightwater.example',
    '{d0000000-0000-4000-8000-000000000000}', 0, 0, 4, 0),
  ('00000000-0000-4000-8000-000000000002', 'jonas.weber@brightwater.example',
    '{d0000000-0000-4000-8000-000000000001}', 150, 40, 6, 1),
  ('00000000-0000-4000-8000-000000000003', 'priya.raman@brightwater.example',
    '{d0000000-0000-4000-8000-000000000002,d0000000-0000-4000-8000-000000000003}', 0, 0, 9, 0),
  ('00000000-0000-4000-8000-000000000004', 'lucia.ferrante@brightwater.example',
    '{d0000000-0000-4000-8000-000000000004,d0000000-0000-4000-8000-000000000005}', 0, 0, 3, 0),
  ('00000000-0000-4000-8000-000000000005', 'theo.lindqvist@books.example',
    '{d0000000-0000-4000-8000-000000000001,ca000000-0000-4000-8000-000000000001}', 400, 80, 25, 1),
  ('00000000-0000-4000-8000-000000000006', 'ama.mensah@halden.example',
    '{ca000000-0000-4000-8000-000000000000}', 0, 0, 5, 0),
  ('00000000-0000-4000-8000-000000000007', 'diego.santos@halden.example',
    '{ca000000-0000-4000-8000-000000000002,ca000000-0000-4000-8000-000000000003}', 0, 0, 7, 0),
  ('00000000-0000-4000-8000-000000000008', 'hana.sato@halden.example',
    '{ca000000-0000-4000-8000-000000000004}', 0, 0, 2, 0),
  ('00000000-0000-4000-8000-000000000009', 'oskar.nowak@larkspur.example',
    '{40000000-0000-4000-8000-000000000000,40000000-0000-4000-8000-000000000001}', 0, 0, 8, 0),
  ('00000000-0000-4000-8000-000000000010', 'leila.haddad@larkspur.example',
    '{40000000-0000-4000-8000-000000000002,40000000-0000-4000-8000-000000000003}', 50, 20, 6, 1),
  ('00000000-0000-4000-8000-000000000011', 'finn.gallagher@larkspur.example',
    '{40000000-0000-4000-8000-000000000004,40000000-0000-4000-8000-000000000005,40000000-0000-4000-8000-000000000006}',
    0, 0, 5, 0),
  ('00000000-0000-4000-8000-000000000012', 'robin.ashe@solo.example',
    '{}', 1800, 300, 60, 2);

SELECT revdesk_create_user(subject, id)
FROM demo_user
ORDER BY id
\g /dev/null

SELECT revdesk_add_member(tenant.id, demo_user.id)
FROM demo_user
CROSS JOIN unnest(member_of) AS tenant (id)
ORDER BY demo_user.id, tenant.id
\g /dev/null

-- The generator --------------------------------------------------------------------------------

-- A number from 0 to n - 1 out of the i-th (0 to 7) pair of bytes of an id; n up to 65536.
CREATE FUNCTION pg_temp.pick(id uuid, i integer, n integer) RETURNS integer
LANGUAGE sql IMMUTABLE
AS $$SELECT (get_byte(uuid_send(id), 2 * i) * 256 + get_byte(uuid_send(id), 2 * i + 1)) % n$$;

-- Numbers 00 to 19 of an area are the tenants' own, 20 to 99 those of the people they talk to.
CREATE FUNCTION pg_temp.phone(area integer, line integer) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$SELECT '+1' || area || '55501' || lpad(line::text, 2, '0')$$;

-- One row for each thousandth, so that a tenant is found by joining on a number from 0 to 999.
CREATE TEMPORARY TABLE demo_slot ON COMMIT DROP AS
SELECT (row_number() OVER (ORDER BY id, i) - 1)::integer AS slot,
  id AS tenant_id, coalesce(umbrella_id, id) AS umbrella_id, area
FROM demo_tenant
CROSS JOIN generate_series(1, share) AS i;
ANALYZE demo_slot;

-- umbrella_id is set here to what revdesk_protect() would fill in, which spares it the update.

INSERT INTO api.phone_numbers (id, tenant_id, umbrella_id, number, label, brand, created_at)
SELECT
  md5('number ' || id || ' ' || line)::uuid,
  id,
  coalesce(umbrella_id, id),
  pg_temp.phone(area, line),
  (ARRAY['Front desk', 'Appointments', 'Billing', 'After hours'])[1 + line % 4],
  -- The last four lines call under the umbrella's second brand.
  CASE left(id::text, 2)
    WHEN 'd0' THEN CASE WHEN line < 8 THEN 'Brightwater Dental' ELSE 'Brightwater Kids' END
    WHEN 'ca' THEN CASE WHEN line < 8 THEN 'Halden Motors' ELSE 'Halden Service' END
    ELSE CASE WHEN line < 8 THEN 'Larkspur Hotels' ELSE 'Larkspur Reservations' END
  END,
  timestamptz '2024-11-01 09:00:00+00' + line * interval '1 hour'
FROM demo_tenant
CROSS JOIN generate_series(0, 11) AS line;

INSERT INTO api.phone_numbers (id, owner_id, number, label, created_at)
SELECT
  md5('number ' || id || ' ' || line)::uuid,
  id,
  pg_temp.phone(917, 2 * right(id::text, 2)::integer - line),
  'Mobile',
  timestamptz '2024-11-02 09:00:00+00'
FROM demo_user
CROSS JOIN generate_series(1, numbers) AS line;

-- Brightwater and Larkspur registered both of their brands for everybody, Halden only one. Some
-- locations have registrations of their own, one of them still waiting; most have none.
INSERT INTO api.caller_trust_registrations
  (id, tenant_id, umbrella_id, business_name, brand, number, attestation, status, registered_at)
SELECT
  md5('registration ' || r.tenant_id || r.brand || coalesce(r.number, ''))::uuid,
  r.tenant_id, coalesce(t.umbrella_id, t.id), r.business_name, r.brand, r.number, r.attestation, r.status,
  timestamptz '2024-12-01 10:00:00+00' + t.share * interval '1 day'
FROM (
  VALUES
    ('d0000000-0000-4000-8000-000000000000'::uuid, 'Brightwater Dental Group', 'Brightwater Dental', NULL, 'A', 'verified'),
    ('d0000000-0000-4000-8000-000000000000', 'Brightwater Kids', 'Brightwater Kids', NULL, 'B', 'verified'),
    ('d0000000-0000-4000-8000-000000000001', 'Brightwater Riverside', 'Brightwater Dental', NULL, 'A', 'verified'),
    ('d0000000-0000-4000-8000-000000000001', 'Riverside Billing', 'Brightwater Dental', '+12535550102', 'A', 'verified'),
    ('d0000000-0000-4000-8000-000000000003', 'Harbour Point Dental', 'Brightwater Dental', NULL, 'B', 'verified'),
    ('d0000000-0000-4000-8000-000000000004', 'Cedar Hill Kids', 'Brightwater Kids', NULL, 'C', 'pending'),
    ('ca000000-0000-4000-8000-000000000000', 'Halden Motor Group', 'Halden Motors', NULL, 'A', 'verified'),
    ('ca000000-0000-4000-8000-000000000001', 'Halden North Service', 'Halden Service', NULL, 'A', 'verified'),
    ('ca000000-0000-4000-8000-000000000004', 'Halden Certified', 'Halden Motors', NULL, 'B', 'verified'),
    ('40000000-0000-4000-8000-000000000000', 'Larkspur Hotels', 'Larkspur Hotels', NULL, 'A', 'verified'),
    ('40000000-0000-4000-8000-000000000000', 'Larkspur Reservations', 'Larkspur Reservations', NULL, 'A', 'verified'),
    ('40000000-0000-4000-8000-000000000003', 'Grand Station Hotel', 'Larkspur Hotels', NULL, 'A', 'verified'),
    ('40000000-0000-4000-8000-000000000004', 'The Vineyard', 'Larkspur Hotels', NULL, 'B', 'verified'),
    ('40000000-0000-4000-8000-000000000006', 'Larkspur Residences', 'Larkspur Hotels', '+14085550101', 'A', 'rejected')
) AS r (tenant_id, business_name, brand, number, attestation, status)
JOIN demo_tenant AS t ON t.id = r.tenant_id;

-- Calls of 2025, in the order of time: 237,600 of tenants, and each person's own.
INSERT INTO api.calls
  (id, tenant_id, umbrella_id, owner_id, direction, caller, callee, status, started_at, duration_seconds, recording_url)
SELECT
  c.id, c.tenant_id, c.umbrella_id, c.owner_id, c.direction,
  CASE c.direction WHEN 'inbound' THEN c.theirs ELSE c.ours END,
  CASE c.direction WHEN 'inbound' THEN c.ours ELSE c.theirs END,
  c.status,
  c.started_at,
  CASE c.status WHEN 'completed' THEN 15 + pg_temp.pick(c.id, 5, 1200) WHEN 'voicemail' THEN 30 ELSE 0 END,
  CASE WHEN c.status = 'completed' AND pg_temp.pick(c.id, 6, 3) = 0 THEN 'https://recordings.example/' || c.id END
FROM (
  SELECT
    n.id, n.tenant_id, n.umbrella_id, n.owner_id, n.started_at,
    CASE WHEN pg_temp.pick(n.id, 2, 100) < 62 THEN 'inbound' ELSE 'outbound' END AS direction,
    pg_temp.phone(200 + pg_temp.pick(n.id, 3, 790), 20 + pg_temp.pick(n.id, 4, 80)) AS theirs,
    pg_temp.phone(n.area, n.line) AS ours,
    CASE
      WHEN pg_temp.pick(n.id, 7, 100) < 78 THEN 'completed'
      WHEN pg_temp.pick(n.id, 7, 100) < 90 THEN 'missed'
      WHEN pg_temp.pick(n.id, 7, 100) < 98 THEN 'voicemail'
      ELSE 'failed'
    END AS status
  FROM (
    SELECT
      id, tenant_id, umbrella_id, NULL::uuid AS owner_id, area, pg_temp.pick(id, 5, 12) AS line,
      -- 365 days in equal parts, the time of day between 12:00 and 24:00 UTC.
      timestamptz '2025-01-01 12:00:00+00' + (i * 365 / 237600) * interval '1 day'
        + pg_temp.pick(id, 1, 43200) * interval '1 second' AS started_at
    FROM (SELECT i, md5('call ' || i)::uuid AS id FROM generate_series(0, 237599) AS i) AS call
    JOIN demo_slot ON slot = pg_temp.pick(id, 0, 1000)
    UNION ALL
    SELECT
      md5('call ' || id || ' ' || i)::uuid, NULL, NULL, id, 917, 2 * right(id::text, 2)::integer - 1,
      timestamptz '2025-01-01 12:00:00+00' + (i * 365 / calls) * interval '1 day'
        + pg_temp.pick(md5('call ' || id || ' ' || i)::uuid, 1, 43200) * interval '1 second'
    FROM demo_user
    CROSS JOIN LATERAL generate_series(0, calls - 1) AS i
  ) AS n
) AS c
ORDER BY c.started_at, c.id;

-- 20,000 contacts of tenants, and each person's own.
INSERT INTO api.contacts
  (id, tenant_id, umbrella_id, owner_id, first_name, last_name, company, phone, email, created_at)
SELECT
  c.id, c.tenant_id, c.umbrella_id, c.owner_id, c.first_name, c.last_name,
  CASE WHEN pg_temp.pick(c.id, 3, 4) = 0 THEN c.last_name || ' & Partners' END,
  pg_temp.phone(200 + pg_temp.pick(c.id, 4, 790), 20 + pg_temp.pick(c.id, 5, 80)),
  lower(c.first_name || '.' || c.last_name) || pg_temp.pick(c.id, 6, 1000) || '@mail.example',
  timestamptz '2025-01-01 00:00:00+00' + pg_temp.pick(c.id, 7, 365) * interval '1 day'
FROM (
  SELECT
    n.id, n.tenant_id, n.umbrella_id, n.owner_id,
    (ARRAY['Ada', 'Ben', 'Chloe', 'David', 'Elif', 'Farid', 'Grace', 'Hugo', 'Ines', 'Jamal',
      'Kira', 'Liam', 'Mina', 'Noah', 'Olga', 'Pavel', 'Rosa', 'Sven', 'Tara', 'Yusuf'])
      [1 + pg_temp.pick(n.id, 1, 20)] AS first_name,
    (ARRAY['Adams', 'Baker', 'Costa', 'Diaz', 'Evans', 'Fischer', 'Garcia', 'Hughes', 'Ivanov', 'Jensen',
      'Kim', 'Lopez', 'Meyer', 'Nguyen', 'Olsen', 'Patel', 'Quinn', 'Rossi', 'Silva', 'Tanaka',
      'Usman', 'Vargas', 'Walker', 'Young', 'Zhang'])
      [1 + pg_temp.pick(n.id, 2, 25)] AS last_name
  FROM (
    SELECT id, tenant_id, umbrella_id, NULL::uuid AS owner_id
    FROM (SELECT md5('contact ' || i)::uuid AS id FROM generate_series(1, 20000) AS i) AS contact
    JOIN demo_slot ON slot = pg_temp.pick(id, 0, 1000)
    UNION ALL
    SELECT md5('contact ' || id || ' ' || i)::uuid, NULL, NULL, id
    FROM demo_user
    CROSS JOIN LATERAL generate_series(1, contacts) AS i
  ) AS n
) AS c
ORDER BY c.id;

INSERT INTO api.personal_notes (owner_id, id, title, body, created_at)
SELECT
  id,
  md5('note ' || id || ' ' || i)::uuid,
  (ARRAY['Call back', 'Idea', 'Reminder', 'To read', 'Shopping'])[1 + i % 5] || ' #' || i,
  'Seen by nobody but the person who wrote it.',
  timestamptz '2025-01-01 08:00:00+00' + i * interval '5 days'
FROM demo_user
CROSS JOIN LATERAL generate_series(1, notes) AS i;

COMMIT;

VACUUM (ANALYZE) api.phone_numbers, api.calls, api.contacts, api.caller_trust_registrations, api.personal_notes;
