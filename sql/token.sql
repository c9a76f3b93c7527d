-- The one form of a key: whatever is not of it is refused, in the same words.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
-- What could be taken for a key, and a key.  The hash of each is in the table,
-- so only the form can be what refuses it; but for two that have the form.
CREATE TABLE app.cases AS
SELECT number, name, token
FROM (SELECT app.token('a1')) AS valid (key)
CROSS JOIN LATERAL (VALUES
  (1, 'null', NULL),
  (2, 'empty', ''),
  (3, 'a space', ' '),
  (4, 'prefix alone', 'revdesk_'),
  (5, 'no prefix', substr(key, 9)),
  (6, 'no underscore', 'revdesk' || substr(key, 9)),
  (7, 'hyphen', 'revdesk-' || substr(key, 9)),
  (8, 'another prefix', 'repdesk_' || substr(key, 9)),
  (9, 'upper-case prefix', 'REVDESK_' || substr(key, 9)),
  (10, 'upper-case digits', 'revdesk_' || upper(substr(key, 9))),
  (11, 'one upper-case digit', overlay(key PLACING 'A' FROM 9)),
  (12, '31 digits', left(key, -1)),
  (13, '33 digits', key || 'a'),
  (14, 'not a digit: g', overlay(key PLACING 'g' FROM 40)),
  (15, 'not a digit: /', overlay(key PLACING '/' FROM 9)),
  (16, 'not a digit: :', overlay(key PLACING ':' FROM 9)),
  (17, 'not a digit: `', overlay(key PLACING '`' FROM 9)),
  (18, 'space before', ' ' || key),
  (19, 'space before, cut', left(' ' || key, 40)),
  (20, 'space after', key || ' '),
  (21, 'space inside', overlay(key PLACING ' ' FROM 20)),
  (22, 'newline after', key || E'\n'),
  (23, 'newline for the last digit', left(key, -1) || E'\n'),
  (24, 'tab after', key || E'\t'),
  (25, 'backslash and zero', left(key, -2) || '\0'),
  (26, 'control character', overlay(key PLACING E'\x01' FROM 20)),
  (27, 'digit of two bytes', left(key, 38) || U&'\00e9'),
  (28, 'full-width digit', left(key, 37) || U&'\ff10'),
  (29, 'full-width digit, 40 characters', left(key, 39) || U&'\ff10'),
  (30, 'cyrillic a', left(key, 38) || U&'\0430'),
  (31, 'zero-width joiner', key || U&'\200d'),
  (32, 'byte order mark', U&'\feff' || key),
  (33, 'reversed', reverse(key)),
  (34, 'quoted', '"' || key || '"'),
  (35, 'bearer', 'Bearer ' || key),
  (36, 'two keys', key || key),
  (37, 'two keys, comma', key || ',' || key),
  (38, 'SQL', ''' OR true --'),
  (39, '40 wildcards', repeat('%', 40)),
  (40, 'prefix and 32 wildcards', 'revdesk_' || repeat('_', 32)),
  (41, '40 underscores', repeat('_', 40)),
  (42, 'hash in hex', encode(sha256(key::bytea), 'hex')),
  (43, 'prefix and half of the hash', 'revdesk_' || left(encode(sha256(key::bytea), 'hex'), 32)),
  (44, 'hash as bytea text', sha256(key::bytea)::text),
  (45, 'unknown', 'revdesk_' || repeat('0', 32)),
  (46, '64 kB', repeat('a', 65536)),
  (47, '1 MB', repeat('revdesk_', 131072)),
  (48, '64 MB', repeat('a', 67108864)),
  (99, 'the key itself', key)
) AS cases (number, name, token);
INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
SELECT sha256(convert_to(token, 'UTF8')), 'sub_entity', 'aaaaaaaa-0000-0000-0000-000000000001', name
FROM app.cases WHERE token IS NOT NULL AND name NOT IN ('unknown', 'prefix and half of the hash', 'the key itself');
GRANT SELECT ON app.cases TO regress_app;
GRANT EXECUTE ON FUNCTION app.try(text), app.token(text) TO regress_app;
SET ROLE regress_app;

CREATE FUNCTION pg_temp.outcome(token text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  detail text;
  hint text;
  context text;
BEGIN
  PERFORM public.revdesk_authenticate(token);
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
    context = PG_EXCEPTION_CONTEXT;
  -- The context begins here, not below: it would quote the statement.
  RETURN format('%s: %s [%s] [%s] [%s]', SQLSTATE, SQLERRM, detail, hint, context);
END
$$;

SELECT name, pg_temp.outcome(token) AS outcome FROM app.cases ORDER BY number;

-- No context is left after the statement.
SELECT * FROM revdesk_context();

-- What PostgreSQL itself refuses: not a text at all.
\set VERBOSITY terse
SELECT revdesk_authenticate(convert_from('\x7265766465736b5f00', 'UTF8'));
SELECT revdesk_authenticate(convert_from('\xff', 'UTF8'));
SELECT revdesk_authenticate(U&'revdesk\0000');
\set VERBOSITY default

-- Types that turn into text.  A name holds 63 bytes, so the key fits it.
SELECT name, outcome
FROM (VALUES
  ('name', pg_temp.outcome(app.token('a1')::name::text)),
  ('varchar(40)', pg_temp.outcome(app.token('a1')::varchar(40))),
  ('varchar(39)', pg_temp.outcome(app.token('a1')::varchar(39))),
  ('char(40)', pg_temp.outcome(app.token('a1')::char(40)::text)),
  ('char(60), whose spaces a cast to text drops', pg_temp.outcome(app.token('a1')::char(60)::text)),
  ('name of a longer text', pg_temp.outcome((app.token('a1') || repeat('x', 60))::name::text))
) AS cases (name, outcome);

-- A collation that ignores case changes nothing: bytes are compared.
RESET ROLE;
CREATE COLLATION app.ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT app.try(format('SELECT revdesk_authenticate(%L COLLATE app.ignore_case)', upper(app.token('a1'))));

-- A long text is refused by its length alone: its pieces are not read.
CREATE TABLE app.long (t text);
ALTER TABLE app.long ALTER COLUMN t SET STORAGE external;
INSERT INTO app.long SELECT repeat('a', 10000000);
SELECT reltoastrelid AS toast FROM pg_class WHERE oid = 'app.long'::regclass \gset
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT pg_temp.outcome(t) FROM app.long;
SELECT idx_scan AS scans FROM pg_stat_xact_sys_tables WHERE relid = :toast;
SELECT length(t) FROM app.long;
SELECT idx_scan AS scans FROM pg_stat_xact_sys_tables WHERE relid = :toast;
COMMIT;
