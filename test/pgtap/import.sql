-- Proves that keys of an existing system keep working when their hashes are imported.

BEGIN;
\ir setup/desk.psql
SELECT plan(19);

INSERT INTO test.keys (name, token) VALUES ('old', 'revdesk_0123456789abcdef0123456789abcdef');
UPDATE test.keys SET key_id = revdesk_import_key(
  'Old key', 'sub_entity', sha256('revdesk_0123456789abcdef0123456789abcdef'), test.id('A1'), test.id('ann'),
  'read', 'development', '2100-01-01', NULL, '{"from": "old system"}', 'cdef')
WHERE name = 'old';

SELECT is(
  test.rows('test_app', 'old', $$SELECT concat_ws(' ', revdesk_scope(), revdesk_access(), revdesk_environment(),
    revdesk_tenant_id() = test.id('A1'), revdesk_user_id() = test.id('ann'))$$),
  'sub_entity read development t t', 'the old key works, with its properties');
SELECT is(
  test.rows('test_app', 'A admin', $$SELECT concat_ws(' ', name, hint, metadata) FROM revdesk_keys WHERE key_id = test.key_id('old')$$),
  'Old key cdef {"from": "old system"}', 'and is listed');
SELECT is(
  test.rows('test_app', 'A', 'SELECT 1'), '1', 'other keys still work');
SELECT lives_ok(
  $$SELECT revdesk_import_key('x', 'sub_entity', sha256('revdesk_ffffffffffffffffffffffffffffffff'), test.id('A1'))$$,
  'the hint and most properties may be left out');

SELECT is(
  test.write('postgres', NULL, statement), expected || ', unchanged', 'refused: ' || name)
FROM (VALUES
  ('attack K8: the same hash again', $$SELECT revdesk_import_key('x', 'organization', sha256('revdesk_0123456789abcdef0123456789abcdef'), test.id('A'))$$, '23505'),
  ('attack K8: the hash of a key made here', format($$SELECT revdesk_import_key('x', 'organization', %L, test.id('A'))$$, sha256(convert_to(test.token('B'), 'UTF8'))), '23505'),
  ('attack K8: a hash of 31 bytes', $$SELECT revdesk_import_key('x', 'organization', substr(sha256('x'), 2), test.id('A'))$$, '22023'),
  ('attack K8: a hash of 33 bytes', $$SELECT revdesk_import_key('x', 'organization', sha256('x') || '\x00', test.id('A'))$$, '22023'),
  ('attack K8: a hash of 64 bytes', $$SELECT revdesk_import_key('x', 'organization', sha512('x'), test.id('A'))$$, '22023'),
  ('attack K8: a hash in hexadecimal', $$SELECT revdesk_import_key('x', 'organization', convert_to(encode(sha256('x'), 'hex'), 'UTF8'), test.id('A'))$$, '22023'),
  ('attack K8: an empty hash', $$SELECT revdesk_import_key('x', 'organization', '', test.id('A'))$$, '22023'),
  ('attack K8: no hash', $$SELECT revdesk_import_key('x', 'organization', NULL, test.id('A'))$$, '22023'),
  ('a hint of 3 characters', $$SELECT revdesk_import_key('x', 'organization', sha256('x'), test.id('A'), hint => 'abc')$$, '22023'),
  ('a hint of 40 characters', $$SELECT revdesk_import_key('x', 'organization', sha256('x'), test.id('A'), hint => repeat('a', 40))$$, '22023'),
  ('an expiry in the past', $$SELECT revdesk_import_key('x', 'organization', sha256('x'), test.id('A'), expires_at => now() - '1 day'::interval)$$, '22023'),
  ('attack K7: a scope that does not fit the tenant', $$SELECT revdesk_import_key('x', 'sub_entity', sha256('x'), test.id('A'))$$, '23514'),
  ('attack K7: the same the other way round', $$SELECT revdesk_import_key('x', 'organization', sha256('x'), test.id('A1'))$$, '23514')
) AS cases (name, statement, expected);

SELECT is(
  test.error('test_app', key, $$SELECT revdesk_import_key('x', 'sub_entity', sha256('x'), test.id('A1'))$$), expected, name)
FROM (VALUES
  ('an admin key cannot plant a hash', 'A admin',
   '42501 | not for an API key | Only an administrator of the database may do this, in a transaction without a context.'),
  ('nor can a role without the privilege', NULL,
   '42501 | authentication required | Authenticate with a key of access "admin", or be granted INSERT on revdesk.api_keys.')
) AS cases (name, key, expected);

SELECT * FROM finish();
ROLLBACK;
