-- Proves the form of a key, and that no other text is one.

BEGIN;
\ir setup/desk.psql
SELECT plan(84);

CREATE TEMP TABLE made AS
SELECT key.* FROM generate_series(1, 500) AS i, revdesk_create_key('made ' || i, 'sub_entity', test.id('A1')) AS key;

-- "Each key is prefixed with revdesk_ and should be kept secret."
-- "Prefix revdesk_"
SELECT is(
  (SELECT count(*) FROM made WHERE left(token, 8) = 'revdesk_'), 500::bigint,
  'every key begins with revdesk_');
-- "Token a1b2c3d4e5f6... (32 hex characters)"
SELECT is(
  (SELECT count(*) FROM made WHERE substr(token, 9) ~ '^[0-9a-f]{32}$'), 500::bigint,
  'after it stand 32 hexadecimal characters');
-- "Full key revdesk_a1b2c3d4e5f6..."
SELECT is(
  (SELECT count(*) FROM made WHERE length(token) = 40), 500::bigint,
  'and that is the whole key');
SELECT is((SELECT count(DISTINCT token) FROM made), 500::bigint, 'no key is made twice');
SELECT is((SELECT count(DISTINCT key_id) FROM made), 500::bigint, 'no key id is made twice');
SELECT ok(
  (SELECT bool_and(digits = 16) FROM (
    SELECT count(DISTINCT substr(token, 8 + place, 1)) AS digits
    FROM made, generate_series(1, 32) AS place GROUP BY place) AS places),
  'every digit occurs at every place of 500 keys: no place is fixed');
SELECT is(
  (SELECT count(*) FROM made JOIN revdesk.api_keys ON api_keys.id = made.key_id
   WHERE api_keys.hint = right(made.token, 4)),
  500::bigint, 'the hint of a key is its last 4 characters');

SELECT lives_ok(
  format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', (SELECT token FROM made LIMIT 1)),
  'a key of this form authenticates');

-- Nothing but the full key is accepted, however near.
CREATE FUNCTION test.refused(token text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  PERFORM revdesk_authenticate(token);
  PERFORM revdesk_deauthenticate();
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ' ' || SQLERRM || detail || hint;
END
$$;

CREATE TEMP TABLE malformed AS
SELECT name, bad
FROM (SELECT token, substr(token, 9) AS digits FROM test.keys WHERE name = 'A1') AS good,
  LATERAL (VALUES
    ('attack K1: null', NULL),
    ('attack K1: the empty text', ''),
    ('attack K1: the prefix alone', 'revdesk_'),
    ('attack K1: the digits alone', digits),
    ('attack K1: another prefix', 'repdesk_' || digits),
    ('attack K1: the prefix in upper case', 'REVDESK_' || digits),
    ('attack K1: the prefix with a hyphen', 'revdesk-' || digits),
    ('attack K1: the prefix twice', 'revdesk_' || token),
    ('attack K1: 31 digits', left(token, 39)),
    ('attack K1: 33 digits', token || '0'),
    ('attack K1: upper case', 'revdesk_' || upper(digits)),
    ('attack K1: a digit that is none', 'revdesk_g' || substr(digits, 2)),
    ('attack K1: a slash, the character before 0', 'revdesk_/' || substr(digits, 2)),
    ('attack K1: a colon, the character after 9', 'revdesk_:' || substr(digits, 2)),
    ('attack K1: a backtick, the character before a', 'revdesk_`' || substr(digits, 2)),
    ('attack K1: a leading space', ' ' || token),
    ('attack K1: a trailing space', token || ' '),
    ('attack K1: a trailing newline', token || E'\n'),
    ('attack K1: a leading space in place of a character', ' ' || left(token, 39)),
    ('attack K1: a trailing newline in place of a digit', left(token, 39) || E'\n'),
    ('attack K1: a Cyrillic look-alike in the prefix', 'rеvdesk_' || digits),
    ('attack K1: a full-width digit', 'revdesk_' || U&'\FF10' || substr(digits, 2)),
    ('attack K1: a look-alike, 40 bytes in all', 'rеvdesk_' || substr(digits, 2)),
    ('attack K1: a per cent escape', 'revdesk%5F' || digits),
    ('attack K1: a backslash escape of NUL', token || '\000'),
    ('attack K1: a quoted key', '"' || token || '"'),
    ('attack K1: a LIKE pattern', 'revdesk_' || repeat('%', 32)),
    ('attack K1: 1 MB', repeat('a', 1024 * 1024)),
    ('attack K1: the key and then 1 MB', token || repeat('a', 1024 * 1024)),
    ('attack K1: 200 MB', repeat('revdesk_', 25 * 1024 * 1024)),
    ('attack K2: the key''s hash in hexadecimal', encode(digest(token, 'sha256'), 'hex')),
    ('attack K2: the first half of the hash as the digits', 'revdesk_' || left(encode(digest(token, 'sha256'), 'hex'), 32)),
    ('attack K2: the hash as text', (digest(token, 'sha256'))::text),
    ('attack K2: one digit other', 'revdesk_' || CASE WHEN left(digits, 1) = '0' THEN '1' ELSE '0' END || substr(digits, 2)),
    ('attack K2: the right hint and another secret', 'revdesk_' || left(md5(digits), 28) || right(digits, 4)),
    ('attack K2: the key''s id in place of the digits', 'revdesk_' || replace(test.key_id('A1')::text, '-', '')),
    ('attack K2: all zeros', 'revdesk_' || repeat('0', 32))
  ) AS cases (name, bad);
SELECT is(test.refused(bad), '28000 API key rejected', 'refused: ' || name) FROM malformed;

-- By its form, before any look-up: also where its very hash is there. (The
-- last cases have the form of a key.)
SELECT FROM malformed, revdesk_import_key(name, 'sub_entity', sha256(convert_to(bad, 'UTF8')), test.id('A1'))
WHERE bad IS NOT NULL;
SELECT is(test.refused(bad), CASE WHEN bad ~ '^revdesk_[0-9a-f]{32}$' THEN 'accepted' ELSE '28000 API key rejected' END, 'with its hash imported: ' || name)
FROM malformed;
SELECT is(revdesk_scope(), NULL, 'and after all these there is still no context');

-- By its length alone, before it is detoasted: a stored value of 300 MB would
-- otherwise take long, and a damaged one would raise another error.
CREATE TEMP TABLE stored AS SELECT repeat('x', 20 * 1024 * 1024) AS token;
SELECT is(
  test.refused((SELECT token FROM stored)), '28000 API key rejected',
  'attack K1: a large compressed value out of a table is refused');

SELECT * FROM finish();
ROLLBACK;
