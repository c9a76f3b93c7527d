-- Proves what the endpoints that revdesk_expose() makes show and do.

BEGIN;
\ir setup/desk.psql
SELECT plan(61);
CREATE SCHEMA test_api;
SELECT FROM revdesk_expose('test_api', '{test_app}');

-- "Monitor key usage via the account endpoint"
SELECT is(
  test.rows('test_app', key, $$SELECT concat_ws(' ', scope, access, key ->> 'name', tenant ->> 'name', "user" ->> 'subject') FROM test_api.account$$), expected, 'the account of ' || COALESCE(key, 'no key'))
FROM (VALUES ('A1', 'sub_entity write A1 Sub-entity A1'), ('A admin', 'organization admin A admin Organization A'), ('ann read', 'user read ann read ann'), (NULL, '')) AS cases (key, expected);

-- "Create / list / revoke"
SELECT is(
  test.rows('test_app', key, 'SELECT name FROM test_api.api_keys'), test.rows('test_app', key, 'SELECT name FROM revdesk_keys'), 'the keys of ' || COALESCE(key, 'no key'))
FROM (VALUES ('A1'), ('A admin'), ('A1 admin'), ('ann admin'), (NULL)) AS cases (key);
SELECT is(test.rows('test_app', 'A1 admin', 'SELECT name FROM test_api.api_keys'), 'A1,A1 admin,A1 read', 'which are its own');
SELECT is(
  test.write('test_app', key, statement), expected, format('%s by %s', name, COALESCE(key, 'nobody')))
FROM (VALUES
  ('creates a key', 'A admin', $$SELECT test_api.create_api_key('x', 'sub_entity', test.id('A1'))$$, '1 rows, changed'),
  ('creates a key', 'A', $$SELECT test_api.create_api_key('x', 'sub_entity', test.id('A1'))$$, '42501, unchanged'),
  ('creates a key of a sibling', 'A1 admin', $$SELECT test_api.create_api_key('x', 'sub_entity', test.id('A2'))$$, '42501, unchanged'),
  ('creates a key', NULL, $$SELECT test_api.create_api_key('x', 'sub_entity', test.id('A1'))$$, '42501, unchanged'),
  ('rotates a key', 'A admin', $$SELECT test_api.rotate_api_key(test.key_id('A1'))$$, '1 rows, changed'),
  ('rotates a key', 'B admin', $$SELECT test_api.rotate_api_key(test.key_id('A1'))$$, '42501, unchanged'),
  ('revokes a key', 'A admin', $$SELECT test_api.revoke_api_key(test.key_id('A1'), 'x')$$, '1 rows, changed'),
  ('revokes a key', 'B admin', $$SELECT test_api.revoke_api_key(test.key_id('A1'), 'x')$$, '42501, unchanged'),
  ('issues a token', 'A1 admin', $$SELECT test_api.auth_token('x')$$, '1 rows, changed'),
  ('issues a token of a sibling', 'A1 admin', $$SELECT test_api.auth_token('x', test.id('A2'))$$, '42501, unchanged'),
  ('issues a token', 'A1', $$SELECT test_api.auth_token('x')$$, '42501, unchanged'),
  ('issues a token', NULL, $$SELECT test_api.auth_token('x', test.id('A1'))$$, '42501, unchanged'),
  -- "See Sub-entities for how to provision sub-entities and issue per-sub-entity keys."
  ('makes a sub-entity', 'A admin', $$INSERT INTO test_api.sub_entities (name) VALUES ('x')$$, '1 rows, changed'),
  ('makes a sub-entity of another', 'A admin', $$INSERT INTO test_api.sub_entities (name, umbrella_id) VALUES ('x', test.id('B'))$$, '42501, unchanged'),
  ('makes a sub-entity', 'A', $$INSERT INTO test_api.sub_entities (name) VALUES ('x')$$, '42501, unchanged'),
  ('makes a sub-entity', 'ann admin', $$INSERT INTO test_api.sub_entities (name) VALUES ('x')$$, '42501, unchanged'),
  ('makes a sub-entity', NULL, $$INSERT INTO test_api.sub_entities (name) VALUES ('x')$$, '42501, unchanged'),
  ('renames a sub-entity', 'A admin', $$UPDATE test_api.sub_entities SET name = 'x'$$, '42501, unchanged'),
  ('deletes a sub-entity', 'A admin', $$DELETE FROM test_api.sub_entities$$, '42501, unchanged'),
  ('adds a member', 'A1 admin', $$INSERT INTO test_api.members (user_id) VALUES (test.id('eve'))$$, '1 rows, changed'),
  ('adds a member of a sibling', 'A1 admin', $$INSERT INTO test_api.members (tenant_id, user_id) VALUES (test.id('A2'), test.id('eve'))$$, '42501, unchanged'),
  ('adds a member', 'A1', $$INSERT INTO test_api.members (user_id) VALUES (test.id('eve'))$$, '42501, unchanged'),
  ('removes its members', 'A1 admin', $$DELETE FROM test_api.members$$, '1 rows, changed'),
  ('removes members of others', 'A1 admin', $$DELETE FROM test_api.members WHERE tenant_id <> test.id('A1')$$, '0 rows, unchanged'),
  ('removes its members', 'A1', $$DELETE FROM test_api.members$$, '42501, unchanged'),
  ('removes itself', 'ann admin', $$DELETE FROM test_api.members$$, '42501, unchanged')
) AS cases (name, key, statement, expected);

SELECT is(
  test.rows('test_app', key, $$SELECT name FROM test_api.sub_entities$$), sub_entities, 'the sub-entities of ' || COALESCE(key, 'no key'))
FROM (VALUES ('A', 'Sub-entity A1,Sub-entity A2'), ('B read', 'Sub-entity B1'), ('A1', 'Sub-entity A1'), ('ann', 'Sub-entity A1'), ('bob', ''), (NULL, '')) AS cases (key, sub_entities);
SELECT is(
  test.rows('test_app', key, $$SELECT subject FROM test_api.members$$), members, 'the members of ' || COALESCE(key, 'no key'))
FROM (VALUES ('A', 'ann,bob'), ('B', 'ann'), ('A1', 'ann'), ('A2', ''), ('ann', 'ann,ann'), ('eve', ''), (NULL, '')) AS cases (key, members);

-- Answers that hold a key are not cached on the way.
SELECT is(
  test.rows('test_app', 'A admin', $$SELECT current_setting('response.headers') FROM (SELECT test_api.create_api_key('x', 'sub_entity', test.id('A1')) OFFSET 0) AS made$$),
  '[{"Cache-Control": "no-store"}]', 'a response that shows a key forbids caching');

-- Again, and away.
SELECT lives_ok($$SELECT revdesk_expose('test_api', '{test_app}')$$, 'they can be made anew');
SELECT is(test.run('test_other', NULL, 'SELECT FROM test_api.account'), '42501', 'a role that was not named has no access');
SELECT lives_ok($$SELECT revdesk_unexpose('test_api')$$, 'and dropped');
SELECT is((SELECT count(*) FROM pg_class WHERE relnamespace = 'test_api'::regnamespace) + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'test_api'::regnamespace), 0::bigint, 'with all that was made');
CREATE VIEW test_api.account AS SELECT 1 AS one;
SELECT throws_ok($$SELECT revdesk_expose('test_api', '{test_app}')$$, '42P07', NULL, 'an object of somebody else''s is not replaced');
SELECT lives_ok($$SELECT revdesk_unexpose('test_api')$$, 'nor dropped');
SELECT has_view('test_api', 'account', 'it is there');
SELECT is(
  test.run(role, NULL, $$SELECT revdesk_expose('test_api', '{test_app}')$$), '42501', 'they are not for ' || role || ' to make') FROM (VALUES ('test_app'), ('test_owner')) AS roles (role);
SELECT is(test.run('postgres', NULL, format('SELECT revdesk_expose(''test_api'', %L)', roles)), '22023', 'nor for no role') FROM (VALUES ('{}'), (NULL)) AS cases (roles);

SELECT * FROM finish();
ROLLBACK;
