-- Proves the symptoms that the documentation tells: rejected, empty or refused, and no key in any message.

BEGIN;
\ir setup/desk.psql
SELECT plan(17);

-- "Token revoked, typo, or missing"
SELECT FROM revdesk_revoke_key(test.key_id('A2'));
SELECT is(
  test.error('test_app', NULL, statement), '28000 | API key rejected', 'rejected: ' || name)
FROM (VALUES
  ('revoked', format('SELECT revdesk_authenticate(%L)', test.token('A2'))),
  ('a typo', format('SELECT revdesk_authenticate(%L)', overlay(test.token('A1') PLACING 'x' FROM 20))),
  ('another typo, still a key by its form', format('SELECT revdesk_authenticate(%L)', translate(test.token('A1'), '0123456789', '1234567890'))),
  ('missing', 'SELECT revdesk_authenticate(NULL)'),
  ('empty', $$SELECT revdesk_authenticate('')$$)
) AS cases (name, statement);
SELECT is(test.rows('test_app', NULL, 'SELECT label FROM desk.calls'), '', 'with no authentication at all, lists are empty');

-- "If you get empty lists or 403 responses, confirm you are using a token created while signed into the correct org,
-- not a personal test token from another tenant." "Wrong company for that token."
SELECT is(
  test.rows('test_app', key, $$SELECT label FROM desk.calls WHERE tenant_id = test.id('A1')$$), '',
  'an empty list with ' || name)
FROM (VALUES ('a token of another company', 'B'), ('a token of another company''s location', 'B1'),
             ('a personal token of no member', 'eve')) AS cases (name, key);
SELECT is(
  test.write('test_app', key, $$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new')$$), '42501, unchanged',
  'a refusal to write with ' || name)
FROM (VALUES ('a token of another company', 'B'), ('a token of another company''s location', 'B1'),
             ('a personal token of no member', 'eve')) AS cases (name, key);
SELECT is(
  test.error('test_app', 'B', $$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new')$$),
  '42501 | new row violates row-level security policy "revdesk_isolation" for table "calls"', 'the refusal names the rule');
SELECT is(
  test.rows('test_app', 'B', 'SELECT revdesk_account() -> ''tenant'' ->> ''name'''), 'Organization B',
  'and the account tells which company the token is for');

-- "do not paste the raw token": nor does any message.
CREATE FUNCTION test.everything(statement text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  message text;
  detail text;
  hint text;
  context text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  RETURN message || detail || hint || context;
END
$$;
SELECT is(
  strpos(test.everything(format(statement, token)), substr(token, 9)) || ' ' || (test.everything(format(statement, token)) ~ 'rejected'),
  '0 true', 'attack L2: the key is not quoted by the error of ' || name)
FROM (SELECT test.token('A2') AS token) AS revoked, (VALUES
  ('a plain call', 'SELECT revdesk_authenticate(%L)'),
  ('a call within PL/pgSQL', 'DO $do$ BEGIN PERFORM revdesk_authenticate(%L); END $do$'),
  ('a call two functions deep', 'DO $do$ BEGIN EXECUTE $x$DO $y$ BEGIN PERFORM revdesk_authenticate(''%s''); END $y$$x$; END $do$')
) AS cases (name, statement);

SELECT * FROM finish();
ROLLBACK;
