-- Proves that a key has one of three scopes, and that its scope decides what it sees.

BEGIN;
\ir setup/desk.psql
SELECT plan(51);

-- "Every API key is tied to one of three scopes, which controls what resources the key can see"
SELECT is(
  test.write('postgres', NULL, statement), expected || ', unchanged', 'a key of ' || name || ' cannot be made')
FROM (VALUES
  ('no scope', $$SELECT revdesk_create_key('x', NULL, test.id('A'))$$, '22023'),
  ('an unknown scope', $$SELECT revdesk_create_key('x', 'global', test.id('A'))$$, '22023'),
  ('the scope ""', $$SELECT revdesk_create_key('x', '', test.id('A'))$$, '22023'),
  ('a scope in upper case', $$SELECT revdesk_create_key('x', 'USER', NULL, test.id('ann'))$$, '22023'),
  ('two scopes', $$SELECT revdesk_create_key('x', 'user,organization', test.id('A'))$$, '22023'),
  ('no scope, by the table', $$INSERT INTO revdesk.api_keys (key_hash, scope, name) VALUES (sha256('x'), NULL, 'x')$$, '23502'),
  ('an unknown scope, by the table',
   $$INSERT INTO revdesk.api_keys (key_hash, scope, name) VALUES (sha256('x'), 'global', 'x')$$, '23514')
) AS cases (name, statement, expected);

SELECT is(
  test.rows('test_app', key, $$SELECT concat_ws(' ', revdesk_scope(), current_setting('revdesk.scope')) $$),
  scope || ' ' || scope, key || ' has scope ' || scope)
FROM (VALUES ('ann', 'user'), ('A', 'organization'), ('A1', 'sub_entity')) AS cases (key, scope);

-- "User | null", "Organization | umbrella org id", "Sub-entity | sub-entity id": the column teamId
SELECT is(
  test.rows('test_app', key, 'SELECT revdesk_tenant_id() IS NOT DISTINCT FROM ' || team), 'true',
  'the teamId of key ' || key || ' is ' || team)
FROM (VALUES ('ann', 'NULL'), ('A', $$test.id('A')$$), ('A1', $$test.id('A1')$$)) AS cases (key, team);

SELECT is(
  test.write('postgres', NULL, statement), expected || ', unchanged', name)
FROM (VALUES
  ('a user key has no team', $$SELECT revdesk_create_key('x', 'user', test.id('A'), test.id('ann'))$$, '22023'),
  ('a user key has a user', $$SELECT revdesk_create_key('x', 'user')$$, '22023'),
  ('an organization key has a team', $$SELECT revdesk_create_key('x', 'organization')$$, '22023'),
  ('a sub-entity key has a team', $$SELECT revdesk_create_key('x', 'sub_entity')$$, '22023'),
  ('the team of an organization key is no sub-entity', $$SELECT revdesk_create_key('x', 'organization', test.id('A1'))$$, '23514'),
  ('the team of a sub-entity key is no organization', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A'))$$, '23514')
) AS cases (name, statement, expected);

-- What each sees of the same tables.
SELECT is(
  test.rows('test_app', key, format('SELECT label FROM desk.%I', relation)), expected,
  format('%s sees of %s: %s', key, relation, expected))
FROM (VALUES
  ('ann', 'calls', 'A1,B'), ('bob', 'calls', 'A'), ('eve', 'calls', ''),
  ('A', 'calls', 'A,A1,A2'), ('B', 'calls', 'B,B1'),
  ('A1', 'calls', 'A1'), ('A2', 'calls', 'A2'), ('B1', 'calls', 'B1'),
  ('ann', 'contacts', 'A1,B,ann'), ('bob', 'contacts', 'A,bob'), ('eve', 'contacts', ''),
  ('A', 'contacts', 'A,A1,A2,A2 by ann'), ('B', 'contacts', 'B,B1'),
  ('A1', 'contacts', 'A1'), ('A2', 'contacts', 'A2,A2 by ann'), ('B1', 'contacts', 'B1'),
  ('ann', 'notes', 'A1,B,ann'), ('bob', 'notes', 'A,bob'), ('eve', 'notes', ''),
  ('A', 'notes', 'A,A1,A2,A2 by ann'), ('B', 'notes', 'B,B1'),
  ('A1', 'notes', 'A1'), ('A2', 'notes', 'A2,A2 by ann'), ('B1', 'notes', 'B1'),
  ('ann', 'registrations', 'A1,B'), ('bob', 'registrations', 'A'), ('eve', 'registrations', ''),
  ('A', 'registrations', 'A,A1,A2'), ('B', 'registrations', 'B,B1'),
  ('A1', 'registrations', 'A,A1'), ('A2', 'registrations', 'A,A2'), ('B1', 'registrations', 'B,B1')
) AS cases (key, relation, expected);

SELECT * FROM finish();
ROLLBACK;
