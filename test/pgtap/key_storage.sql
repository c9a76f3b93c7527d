-- Proves that the database keeps a key's SHA-256 and nothing that leads back to the key.

BEGIN;
\ir setup/desk.psql
SELECT plan(16);

-- "API keys are hashed before storage."
-- "plaintext is shown once at creation; we only store the SHA256 hash"
SELECT is(
  (SELECT api_keys.key_hash FROM revdesk.api_keys WHERE id = test.key_id('A1')),
  sha256(convert_to(test.token('A1'), 'UTF8')),
  'what is stored is the SHA-256 of the whole key, prefix included');
SELECT is(
  (SELECT count(*) FROM revdesk.api_keys JOIN test.keys ON keys.key_id = api_keys.id
   WHERE api_keys.key_hash = sha256(convert_to(keys.token, 'UTF8'))),
  (SELECT count(*) FROM test.keys), 'of every key');

-- Every column of every table of the extension, as text and in hexadecimal.
CREATE FUNCTION test.occurrences(secret text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  relation regclass;
  found boolean;
  places text := '';
BEGIN
  FOR relation IN
    SELECT oid::regclass FROM pg_class WHERE relnamespace = 'revdesk'::regnamespace AND relkind IN ('r', 'p', 'm') ORDER BY relname
  LOOP
    EXECUTE format(
      'SELECT EXISTS (SELECT FROM %s AS rows WHERE strpos(rows::text, $1) > 0 OR strpos(rows::text, $2) > 0)', relation)
    INTO found USING secret, encode(convert_to(secret, 'UTF8'), 'hex');
    IF found THEN
      places := places || ' ' || relation;
    END IF;
  END LOOP;
  RETURN places;
END
$$;
SELECT is(test.occurrences(test.token('A1')), '', 'the key is in no column of any table of the extension');
SELECT is(test.occurrences(substr(test.token('A1'), 9, 28)), '', 'nor is the secret part of it');
SELECT is(test.occurrences('ann'), ' revdesk.api_keys revdesk.audit_log revdesk.users', 'the search finds what is there');
SELECT is(
  test.occurrences(right(test.token('A1'), 8)), '', 'no more of a key than its last 4 characters is kept');

-- "If you lose your key, you will need to generate a new one."
SELECT is(
  test.rows('test_app', 'A1 admin', format('SELECT DISTINCT row_to_json(keys)::text ~ %L FROM revdesk_keys AS keys',
                                           substr(test.token('A1 admin'), 9, 28))),
  'false', 'a key''s own listing does not show it again');
SELECT is(
  test.rows('test_app', 'A admin', format('SELECT revdesk_account()::text ~ %L', substr(test.token('A admin'), 9, 28))),
  'false', 'nor does its account');
SELECT is(
  (SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc
   JOIN pg_depend ON pg_depend.objid = pg_proc.oid AND classid = 'pg_proc'::regclass
   JOIN pg_extension ON pg_extension.oid = refobjid AND extname = 'revdesk_auth'
   WHERE 'token' = ANY (proargnames[(pronargs + 1):]) AND pronamespace <> 'revdesk'::regnamespace),
  'revdesk_create_key,revdesk_issue_token,revdesk_provision_account,revdesk_rotate_key', 'a key is returned by what makes one, and by nothing else');
SELECT is(
  test.rows('test_app', 'A admin', format($$
    SELECT token <> %L AND token ~ '^revdesk_[0-9a-f]{32}$' FROM revdesk_create_key('new one', 'sub_entity', test.id('A1'))
  $$, test.token('A1'))),
  'true', 'a new one can be generated');
SELECT is(
  test.rows('test_app', 'A admin', format($$
    SELECT token <> %L AND token ~ '^revdesk_[0-9a-f]{32}$' FROM revdesk_rotate_key(test.key_id('A1'))
  $$, test.token('A1'))),
  'true', 'or the lost one replaced, by its id alone');

-- "should be kept secret"
SELECT is(
  test.run(role, key, 'SELECT key_hash FROM revdesk.api_keys'), '42501', name || ' cannot read the hashes')
FROM (VALUES
  ('an API role', 'test_app', NULL), ('an API role with an admin key', 'test_app', 'A admin'),
  ('the owner of the application''s tables', 'test_owner', NULL)
) AS cases (name, role, key);
SELECT is(
  (SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 'revdesk_keys'::regclass AND attname ~ 'hash|token|secret'),
  NULL, 'the view of keys has no column for a hash');
SELECT is(
  test.rows('test_app', 'A admin', format('SELECT row_to_json(keys)::text ~ %L FROM revdesk_keys AS keys WHERE key_id = test.key_id(%L)',
    encode(sha256(convert_to(test.token('A1'), 'UTF8')), 'hex'), 'A1')),
  'false', 'and shows it under no other name');

SELECT * FROM finish();
ROLLBACK;
