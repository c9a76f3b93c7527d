-- Proves which keys the view revdesk_keys shows to whom.

BEGIN;
\ir setup/desk.psql
SELECT plan(23);
SELECT test.create_key('A1 for ann', 'sub_entity', 'A1', 'ann');
SELECT test.create_key('A2 by ann', 'sub_entity', 'A2');
SELECT test.create_key('A1 by ann', 'sub_entity', 'A1');
UPDATE revdesk.api_keys SET created_by = test.id('ann') WHERE name LIKE '% by ann';

SELECT is(
  test.rows('test_app', key, 'SELECT name FROM revdesk_keys'), expected, 'attack K5: the keys of ' || COALESCE(key, 'no key'))
FROM (VALUES
  (NULL, ''),
  ('A1', 'A1'), ('A1 read', 'A1 read'), ('A', 'A'), ('ann', 'ann'), ('eve', 'eve'),
  ('A1 admin', 'A1,A1 admin,A1 by ann,A1 for ann,A1 read'),
  ('A2 admin', 'A2,A2 admin,A2 by ann,A2 read'),
  ('A admin', 'A,A admin,A read,A1,A1 admin,A1 by ann,A1 for ann,A1 read,A2,A2 admin,A2 by ann,A2 read'),
  ('B admin', 'B,B admin,B read,B1,B1 admin,B1 read'),
  -- A user sees the user's own keys, and of the teams' keys those that they made.
  ('ann admin', 'A1 by ann,A1 for ann,ann,ann admin,ann read'),
  ('bob admin', 'bob,bob admin,bob read'),
  ('eve admin', 'eve,eve admin,eve read')
) AS cases (key, expected);

SELECT is(
  test.rows('test_app', 'A1', 'SELECT jsonb_set(row_to_json(keys)::jsonb - ''created_at'', ''{last_used_at}'', ''null'', false) FROM revdesk_keys AS keys'),
  (jsonb_build_object(
    'key_id', test.key_id('A1'), 'name', 'A1', 'scope', 'sub_entity', 'tenant_id', test.id('A1'), 'user_id', NULL,
    'access', 'write', 'environment', 'production', 'hint', right(test.token('A1'), 4), 'created_by', NULL)
   || '{"expires_at": null, "revoked_at": null, "revoked_by": null, "revoked_reason": null, "replaced_by": null,
        "allowed_networks": null, "metadata": {}, "rate_limit": null, "rate_period": "second", "rate_burst": null,
        "quota": null, "quota_period": "day", "last_used_at": null}')::text,
  'the columns of a key');
SELECT FROM revdesk_revoke_key(test.key_id('A2'), 'gone');
SELECT is(
  test.rows('test_app', 'A admin', 'SELECT name || '': '' || revoked_reason FROM revdesk_keys WHERE revoked_at IS NOT NULL'),
  'A2: gone', 'a revoked key stays listed');

-- Written to it cannot be.
SELECT is(
  test.write('test_app', 'A admin', statement), expected || ', unchanged', 'the view is not written to: ' || name)
FROM (VALUES
  ('INSERT', $$INSERT INTO revdesk_keys (name) VALUES ('x')$$, '42501'),
  ('UPDATE', $$UPDATE revdesk_keys SET access = 'admin'$$, '42501'),
  ('DELETE', $$DELETE FROM revdesk_keys$$, '42501')
) AS cases (name, statement, expected);

-- A function of the caller's, however cheap, meets no row of others.
CREATE TABLE test.seen (name text);
GRANT INSERT ON test.seen TO test_app;
CREATE FUNCTION test.peek(name text) RETURNS boolean LANGUAGE plpgsql COST 0.0001
AS $$ BEGIN INSERT INTO test.seen VALUES (name); RETURN true; END $$;
SELECT test.enter('test_app', 'A1');
SELECT is((SELECT count(*) FROM revdesk_keys WHERE test.peek(name)), 1::bigint, 'attack K5: a cheap function of the caller''s in WHERE');
RESET ROLE;
SELECT FROM revdesk_deauthenticate();
SELECT is((SELECT string_agg(name, ',') FROM test.seen), 'A1', 'attack K5: has seen the caller''s own key alone');
SELECT is(
  test.error('test_app', 'A1', $$SELECT FROM revdesk_keys WHERE 1 / (length(name) - 2) = 0$$), '22012 | division by zero',
  'an error of the caller''s is about the caller''s rows');
SELECT is(
  test.error('test_app', 'A1', $$SELECT FROM revdesk_keys WHERE 1 / (length(name) - 8) = 0$$), NULL,
  'attack K5: and not about those of others, of which some have 8 characters');

-- Only who was granted it reads it.
SELECT is(test.rows('test_other', 'A1', 'SELECT name FROM revdesk_keys'), '42501', 'a role that was not granted it does not read it');

SELECT * FROM finish();
ROLLBACK;
