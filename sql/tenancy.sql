-- What a backend remembers of tenants, users and members is never out of date.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
\pset tuples_only on
-- Names of the tenants that the context reaches, by the cached sets.
CREATE FUNCTION app.reach() RETURNS text
LANGUAGE sql
AS $$
  SELECT COALESCE(string_agg(name, ' ' ORDER BY name), '(none)')
  FROM revdesk.tenants
  WHERE id = ANY (revdesk_scope_organization_tenants()) OR id = ANY (revdesk_scope_user_tenants())
$$;
CREATE FUNCTION app.login(name text) RETURNS text
LANGUAGE sql
RETURN app.try(format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', app.token(name)));

-- A membership comes and goes while its user is at work.
BEGIN;
SELECT revdesk_authenticate(app.token('c1'));
SELECT app.reach();
SAVEPOINT s;
DELETE FROM revdesk.memberships WHERE tenant_id = 'bbbbbbbb-0000-0000-0000-000000000000';
SELECT app.reach();
SELECT count(*) FROM app.docs WHERE revdesk_scope_visible(tenant_id, owner_id, umbrella_id);
ROLLBACK TO s;
SELECT app.reach();
SELECT count(*) FROM app.docs WHERE revdesk_scope_visible(tenant_id, owner_id, umbrella_id);
INSERT INTO revdesk.memberships (tenant_id, user_id)
VALUES ('bbbbbbbb-0000-0000-0000-000000000001', 'cccccccc-0000-0000-0000-000000000001');
SELECT app.reach();
UPDATE revdesk.memberships SET tenant_id = 'aaaaaaaa-0000-0000-0000-000000000002'
WHERE tenant_id = 'bbbbbbbb-0000-0000-0000-000000000001';
SELECT app.reach();
ROLLBACK;
BEGIN;
SELECT revdesk_authenticate(app.token('c1'));
SELECT app.reach();
SET LOCAL session_replication_role = replica;
TRUNCATE revdesk.memberships;
SELECT app.reach();
ROLLBACK;
BEGIN;
SELECT revdesk_authenticate(app.token('c1'));
SELECT app.reach();
COPY revdesk.memberships (tenant_id, user_id) FROM stdin;
bbbbbbbb-0000-0000-0000-000000000001	cccccccc-0000-0000-0000-000000000001
\.
SELECT app.reach();
ROLLBACK;

-- A tenant of a user's is suspended, or its umbrella.
BEGIN;
SELECT revdesk_authenticate(app.token('c1'));
SELECT app.reach();
SAVEPOINT s;
UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'A1';
SELECT app.reach();
ROLLBACK TO s;
UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'A';
SELECT app.reach();
ROLLBACK TO s;
SELECT app.reach();
COMMIT;

-- A sub-entity comes and goes while its organization is at work.
BEGIN;
SELECT revdesk_authenticate(app.token('a0'));
SELECT app.reach();
SAVEPOINT s;
INSERT INTO revdesk.tenants (id, umbrella_id, name)
VALUES ('aaaaaaaa-0000-0000-0000-000000000003', 'aaaaaaaa-0000-0000-0000-000000000000', 'A3');
SELECT app.reach();
INSERT INTO revdesk.tenants (id, umbrella_id, name)
VALUES ('bbbbbbbb-0000-0000-0000-000000000003', 'bbbbbbbb-0000-0000-0000-000000000000', 'B3');
SELECT app.reach();
DELETE FROM revdesk.tenants WHERE name = 'A3';
SELECT app.reach();
ROLLBACK TO s;
SELECT app.reach();
COMMIT;

-- Suspension, of a tenant and of its umbrella, and its end.
SELECT app.login('a1'), app.login('a0');
BEGIN;
UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'A1';
SELECT app.login('a1'), app.login('a0');
ROLLBACK;
SELECT app.login('a1'), app.login('a0');
BEGIN;
UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'A';
SELECT app.login('a1'), app.login('a0'), app.login('b0');
ROLLBACK;
SELECT app.login('a1'), app.login('a0');
SELECT revdesk_suspend_tenant('aaaaaaaa-0000-0000-0000-000000000000');
SELECT app.login('a1'), app.login('a0');
SELECT revdesk_resume_tenant('aaaaaaaa-0000-0000-0000-000000000000');
SELECT app.login('a1'), app.login('a0');
-- A tenant that is suspended itself stays so when its umbrella is resumed.
SELECT revdesk_suspend_tenant('aaaaaaaa-0000-0000-0000-000000000001');
SELECT revdesk_suspend_tenant('aaaaaaaa-0000-0000-0000-000000000000');
SELECT revdesk_resume_tenant('aaaaaaaa-0000-0000-0000-000000000000');
SELECT app.login('a1'), app.login('a0'), app.login('a2');
SELECT revdesk_resume_tenant('aaaaaaaa-0000-0000-0000-000000000001');

-- Users.
SELECT app.login('c1'), app.login('c2');
BEGIN;
UPDATE revdesk.users SET disabled_at = now() WHERE subject = 'ulla';
SELECT app.login('c1'), app.login('c2');
ROLLBACK;
SELECT app.login('c1'), app.login('c2');
SELECT revdesk_disable_user('cccccccc-0000-0000-0000-000000000001');
SELECT app.login('c1');
SELECT revdesk_enable_user('cccccccc-0000-0000-0000-000000000001');
SELECT app.login('c1');
-- The user whom a tenant's key names counts too.
UPDATE revdesk.api_keys SET user_id = 'cccccccc-0000-0000-0000-000000000002' WHERE name = 'key a2';
SELECT app.login('a2');
SELECT revdesk_disable_user('cccccccc-0000-0000-0000-000000000002');
SELECT app.login('a2');
SELECT revdesk_enable_user('cccccccc-0000-0000-0000-000000000002');

-- Triggers that a replication worker would not fire still tell.
BEGIN;
SELECT app.login('a1');
SET LOCAL session_replication_role = replica;
UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'A';
SELECT app.login('a1');
ROLLBACK;

-- An error in between.
BEGIN;
SELECT revdesk_authenticate(app.token('c1'));
SELECT app.reach();
SAVEPOINT s;
DELETE FROM revdesk.memberships;
SELECT app.reach();
SELECT 1 / 0;
ROLLBACK TO s;
SELECT app.reach();
COMMIT;

-- Sets of every size around the rooms that grow: 0, 1, 63 to 65, 127 to 129, 1000.
CREATE FUNCTION app.sized(size integer) RETURNS TABLE (members bigint, sub_entities bigint)
LANGUAGE plpgsql
AS $$
BEGIN
  DELETE FROM revdesk.memberships;
  DELETE FROM revdesk.tenants WHERE name LIKE 'N%';
  INSERT INTO revdesk.tenants (id, umbrella_id, name)
  SELECT ('eeeeeeee-0000-0000-0000-' || to_char(i, 'FM000000000000'))::uuid, 'aaaaaaaa-0000-0000-0000-000000000000', 'N' || i
  FROM generate_series(1, size) AS i ORDER BY md5(i::text);
  INSERT INTO revdesk.memberships (user_id, tenant_id)
  SELECT 'cccccccc-0000-0000-0000-000000000001', id FROM revdesk.tenants WHERE name LIKE 'N%';
  PERFORM revdesk_authenticate(app.token('c1'));
  members := cardinality(revdesk_scope_user_tenants());
  PERFORM revdesk_deauthenticate();
  PERFORM revdesk_authenticate(app.token('a0'));
  sub_entities := cardinality(revdesk_scope_organization_tenants()) - 3;
  PERFORM revdesk_deauthenticate();
  RETURN NEXT;
END
$$;
SELECT size, sized.* FROM unnest(ARRAY[0, 1, 63, 64, 65, 127, 128, 129, 1000]) AS size CROSS JOIN LATERAL app.sized(size) AS sized ORDER BY size;

-- More tenants than the cache holds: it starts over, and stays right.
SET session_replication_role = replica;
INSERT INTO revdesk.tenants (id, umbrella_id, name)
SELECT ('ffffffff-0000-0000-0000-' || to_char(i, 'FM000000000000'))::uuid,
       CASE i % 2 WHEN 0 THEN 'bbbbbbbb-0000-0000-0000-000000000000'::uuid END, 'M' || i
FROM generate_series(1, 20000) AS i;
RESET session_replication_role;
SELECT turn, count(*) FROM revdesk.tenants, generate_series(1, 2) AS turn
WHERE revdesk.is_umbrella_of(COALESCE(umbrella_id, id), id) AND NOT revdesk.is_umbrella_of(gen_random_uuid(), id)
GROUP BY turn ORDER BY turn;
-- And a user of more of them than it holds.
SET session_replication_role = replica;
INSERT INTO revdesk.memberships (user_id, tenant_id)
SELECT 'cccccccc-0000-0000-0000-000000000002', id FROM revdesk.tenants WHERE name LIKE 'M%';
UPDATE revdesk.tenants SET suspended_at = now() WHERE name IN ('M1', 'M20000');
RESET session_replication_role;
BEGIN;
SELECT revdesk_authenticate(app.token('c2'));
SELECT cardinality(revdesk_scope_user_tenants());
SELECT cardinality(revdesk_scope_user_tenants());
COMMIT;
