-- SHA-256: of the vectors of FIPS 180-4, the same from every implementation, and on the path that authenticates.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
-- "NIST.1" and so on of the example files for FIPS 180-4, and the empty text.
SELECT name, encode(revdesk.token_hash(message), 'hex') = digest AS right
FROM (VALUES
  ('empty', '', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'),
  ('one block', 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'),
  ('two blocks', 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
   '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1'),
  ('896 bits', 'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu',
   'cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1'),
  ('a million', repeat('a', 1000000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0')
) AS vectors (name, message, digest);

-- Core's, pgcrypto's and the extension's agree.
SELECT count(*) AS tried,
       count(*) FILTER (WHERE revdesk.token_hash(message) = sha256(convert_to(message, 'UTF8'))) AS as_core,
       count(*) FILTER (WHERE revdesk.token_hash(message) = digest(message, 'sha256')) AS as_pgcrypto
FROM (SELECT repeat(chr(33 + i % 1000), i) FROM generate_series(0, 999) AS i) AS messages (message);

-- The hashes of these two were computed outside of PostgreSQL.
SELECT revdesk_import_key('zeros', 'sub_entity',
  '\xae0544f2ec4ec88765ae9aada8a08c49b78d78c59a6f5f73c4cc3907fea12948',
  'aaaaaaaa-0000-0000-0000-000000000001') IS NOT NULL AS imported;
SELECT revdesk_import_key('effs', 'sub_entity',
  '\x7ac380b92110834644dadb55df0ba01258463c4c80d685ecbb558cf833ad7426',
  'aaaaaaaa-0000-0000-0000-000000000002') IS NOT NULL AS imported;
BEGIN;
SELECT revdesk_authenticate('revdesk_00000000000000000000000000000000');
SELECT revdesk_tenant_id();
COMMIT;
BEGIN;
SELECT revdesk_authenticate('revdesk_ffffffffffffffffffffffffffffffff');
SELECT revdesk_tenant_id();
COMMIT;

-- Every bit of the hash decides.
DO $$
DECLARE
  refused integer := 0;
BEGIN
  FOR bit IN 0..255 LOOP
    UPDATE revdesk.api_keys SET key_hash = set_bit(key_hash, bit, 1 - get_bit(key_hash, bit)) WHERE name = 'zeros';
    IF app.try('SELECT revdesk_authenticate(''revdesk_00000000000000000000000000000000'')') = '28000: API key rejected' THEN
      refused := refused + 1;
    END IF;
    UPDATE revdesk.api_keys SET key_hash = set_bit(key_hash, bit, 1 - get_bit(key_hash, bit)) WHERE name = 'zeros';
  END LOOP;
  RAISE NOTICE 'refused for % of 256 bits', refused;
END
$$;
SELECT app.try('SELECT revdesk_authenticate(''revdesk_00000000000000000000000000000000'')');

-- A new token is of its form, and never the same.
SELECT count(*), count(DISTINCT token), bool_and(token ~ '^revdesk_[0-9a-f]{32}$') AS formed
FROM (SELECT revdesk.new_token() FROM generate_series(1, 1000)) AS tokens (token);
