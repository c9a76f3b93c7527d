# Threats of section T, tokens: whatever is said to be a key and is none is
# refused alike, at the same cost, and guessing gets nowhere.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = attack_begin('shared_preload_libraries = revdesk_auth', 'revdesk.flush_interval = 3600', "listen_addresses = '127.0.0.1'");

# What a caller learns of an attempt; and how often the table of keys was looked
# into by the statements so far.
$node->safe_psql('template', <<'SQL');
CREATE FUNCTION app.try(token text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  scope text;
  detail text;
  hint text;
BEGIN
  PERFORM revdesk_authenticate(token);
  scope := revdesk_scope() || ' ' || COALESCE(revdesk_tenant_id()::text, '');
  PERFORM revdesk_deauthenticate();
  RETURN 'accepted: ' || scope;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws('|', SQLSTATE, SQLERRM, NULLIF(detail, ''), NULLIF(hint, ''));
END
$$;
CREATE FUNCTION app.probes() RETURNS bigint
LANGUAGE sql SECURITY DEFINER
AS 'SELECT sum(pg_stat_get_xact_numscans(indexrelid)) FROM pg_index WHERE indrelid = ''revdesk.api_keys''::regclass';
CREATE FUNCTION app.reads() RETURNS bigint
LANGUAGE sql SECURITY DEFINER
AS 'SELECT sum(pg_stat_get_xact_numscans(oid)) FROM pg_class WHERE relnamespace = ''revdesk''::regnamespace AND relkind IN (''r'', ''i'')';
SQL

attack 'T01', 'malformed keys, one refusal', <<'CASE';
su> UPDATE revdesk.api_keys SET expires_at = now() WHERE name = 'key a2'
su> UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key b0'
su> UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'B1'
a> SELECT app.try('${KEY_A1}')
a> SELECT 'distinct ' || count(DISTINCT r), min(r), count(*) FROM (SELECT app.try(x) FROM unnest(ARRAY[NULL, '', ' ', 'x', 'revdesk_', 'REVDESK_' || substr('${KEY_A1}', 9), left('${KEY_A1}', -1), '${KEY_A1}' || 'a', '${KEY_A1}' || ' ', ' ' || '${KEY_A1}', '${KEY_A1}' || E'\n', '${KEY_A1}' || E'\t', upper('${KEY_A1}'), reverse('${KEY_A1}'), replace('${KEY_A1}', '_', '-'), substr('${KEY_A1}', 1, 9) || 'é' || substr('${KEY_A1}', 12), substr('${KEY_A1}', 1, 9) || '０' || substr('${KEY_A1}', 13), '${KEY_A1}' || '‍', '🔑', E'\uFEFF' || '${KEY_A1}', 'Bearer ' || '${KEY_A1}', '"' || '${KEY_A1}' || '"', '${KEY_UNKNOWN}', '${KEY_A2}', '${KEY_B}', '${KEY_B1}', '''; DROP TABLE x; --', repeat('a', 65536), repeat('revdesk_', 2000), substr('${KEY_A1}', 1, 39) || 'g', 'revdesk_' || repeat(E'\u0661', 16)]) AS x) AS t(r)
a> SELECT 'rows ' || count(*) FROM app.docs
must (?m)^accepted: sub_entity ${A1}$
must distinct 1\|28000\|API key rejected\|31
must rows 0
CASE

attack 'T03', 'other types that become text: the exact key or none', <<'CASE';
a> CREATE DOMAIN pg_temp.short AS text CHECK (length(VALUE) < 50)
a> SELECT 'name: ' || app.try('${KEY_A1}'::name)
a> SELECT 'longer name: ' || app.try(('${KEY_A1}' || repeat('0', 40))::name::text)
a> SELECT 'padded: ' || app.try('${KEY_A1}'::char(60))
a> SELECT 'cut and padded: ' || app.try(left('${KEY_A1}', 39)::char(60))
a> SELECT 'cut: ' || app.try('${KEY_A1}'::varchar(39))
a> SELECT 'domain: ' || app.try('${KEY_A1}'::pg_temp.short)
a> SELECT 'inet: ' || app.try('::1'::inet::text)
a> SELECT revdesk_authenticate('${KEY_A1}'::bytea)
a> SELECT revdesk_authenticate(ARRAY['${KEY_A1}'])
must (?m)^name: accepted: sub_entity ${A1}
must (?m)^longer name: 28000
must (?m)^padded: accepted: sub_entity ${A1}
must (?m)^cut and padded: 28000
must (?m)^cut: 28000
must (?m)^domain: accepted: sub_entity ${A1}
must (?m)^inet: 28000
must (?s)42883.*42883
CASE

# The chunks of a large value are in a table of their own, which is then read.
attack 'T04', 'a very long one is refused by its length, unread', <<'CASE';
a> CREATE TEMP TABLE big AS SELECT repeat('a', 100000000) AS t
a> CREATE VIEW pg_temp.chunks AS SELECT pg_stat_get_xact_numscans(indexrelid) FROM pg_index JOIN pg_class AS toast ON toast.oid = indrelid WHERE toast.oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'pg_temp.big'::regclass)
a> BEGIN
a> SELECT c AS before FROM pg_temp.chunks AS t(c) \gset
a> SAVEPOINT s
a> SELECT revdesk_authenticate(t) FROM big
a> ROLLBACK TO s
a> SELECT 'chunks read: ' || c - :before FROM pg_temp.chunks AS t(c)
a> SELECT length(t || '') FROM big
a> SELECT 'then: ' || c - :before FROM pg_temp.chunks AS t(c)
a> COMMIT
must 28000
must chunks read: 0
must then: 1
CASE

attack 'T05', 'NUL and invalid encodings', <<'CASE';
a> SELECT revdesk_authenticate(convert_from('\x7265766465736b5f00'::bytea, 'utf8'))
a> SELECT revdesk_authenticate(convert_from('\xff', 'utf8'))
a> SELECT revdesk_authenticate(U&'\0041' || '${KEY_A1}')
a> SET client_encoding = 'LATIN1'
a> SELECT revdesk_authenticate('é' || '${KEY_A1}')
a> SELECT 'alive'
must (?s)22021.*22021.*28000.*28000.*alive
CASE

attack 'T06', 'rows of keys cannot be malformed, by hand either', <<'CASE';
su> UPDATE revdesk.api_keys SET key_hash = substr(key_hash, 1, 31) WHERE name = 'key a1'
su> UPDATE revdesk.api_keys SET key_hash = key_hash || '\x00' WHERE name = 'key a1'
su> UPDATE revdesk.api_keys SET key_hash = '' WHERE name = 'key a1'
su> UPDATE revdesk.api_keys SET key_hash = NULL WHERE name = 'key a1'
su> UPDATE revdesk.api_keys SET key_hash = (SELECT key_hash FROM revdesk.api_keys WHERE name = 'key b0') WHERE name = 'key a1'
su> UPDATE revdesk.api_keys SET scope = 'everything' WHERE name = 'key a1'
su> UPDATE revdesk.api_keys SET scope = 'user' WHERE name = 'key a1'
su> UPDATE revdesk.api_keys SET access = 'root' WHERE name = 'key a1'
a> SELECT app.try('${KEY_A1}')
must (?s)23514.*23514.*23514.*23502.*23505.*23514.*23514.*23514.*accepted: sub_entity ${A1}
CASE

attack 'T07', 'collations that ignore case', sub {
	my ($node, $database) = @_;
	my $key = token('a1');
	$node->safe_psql($database, "CREATE COLLATION public.ci (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false)");
	query_ok($node, $database, "SELECT app.try(upper('$key') COLLATE ci), app.try(('$key') COLLATE ci)",
		'28000|API key rejected|accepted: sub_entity aaaaaaaa-0000-0000-0000-000000000001', 'of the argument');
	$node->safe_psql('postgres', "CREATE DATABASE icu TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'und-u-ks-level1'");
	install_extension($node, 'icu');
	make_data($node, 'icu');
	refused($node, 'icu', uc 'a1', 'of the database: upper case');
	query_ok($node, 'icu', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'of the database: the key');
	$node->safe_psql('postgres', 'DROP DATABASE icu');
};

# Nothing that takes longer for one than for the other: a refusal reads the
# index of hashes once, compares whole hashes in constant time (sql/secret.sql),
# and reads nothing of tenants, users or members.
attack 'T08', 'unknown, revoked and expired keys take the same steps', <<'CASE';
su> UPDATE revdesk.api_keys SET expires_at = now() WHERE name = 'key a2'
su> UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key b0'
a> SELECT app.try('${KEY_UNKNOWN}'), app.try('${KEY_A2}'), app.try('${KEY_B}'), app.try('revdesk_x')
a> BEGIN
a> SELECT app.reads() AS before \gset
a> SELECT app.try('${KEY_UNKNOWN}') \g /dev/null
a> SELECT app.reads() AS unknown \gset
a> SELECT app.try('${KEY_A2}') \g /dev/null
a> SELECT app.reads() AS expired \gset
a> SELECT app.try('${KEY_B}') \g /dev/null
a> SELECT app.reads() AS revoked \gset
a> SELECT app.try('${KEY_A1}') \g /dev/null
a> SELECT app.reads() AS accepted \gset
a> SELECT format('steps %s %s %s, accepted %s', :unknown - :before, :expired - :unknown, :revoked - :expired, :accepted - :revoked > 0)
a> COMMIT
must steps 1 1 1, accepted t
CASE

attack 'T09', 'guessing within exception blocks', sub {
	my ($node, $database) = @_;
	my $tcp = 'host=127.0.0.1 port=' . $node->port . " dbname=$database";
	my $guess = sub {
		my $times = shift;
		return "BEGIN;\nDO \$\$ BEGIN FOR i IN 1..$times LOOP BEGIN PERFORM revdesk_authenticate('revdesk_' || md5(i::text)); "
		  . "EXCEPTION WHEN invalid_authorization_specification THEN NULL; END; END LOOP; END \$\$;\nROLLBACK;\n";
	};
	my $unknown = sub {
		return $node->safe_psql($database, 'SELECT sum(n) FROM (SELECT denied[1] FROM revdesk.usage_in_memory() UNION ALL SELECT denied_unknown FROM revdesk.key_usage) AS t(n)');
	};
	query($node, $database, $guess->(1000));
	is($unknown->(), 1000, 'all are counted, past the blocks and the rollback');

	# With the brake on, guesses are refused unseen after the first few, and
	# so is everything else from there.
	$node->append_conf('pg_hba.conf', 'host all all 127.0.0.1/32 trust');
	$node->append_conf('postgresql.conf', 'revdesk.failures_per_minute = 5');
	$node->reload;
	wait_until($node, $database, "SELECT setting = '5' FROM pg_settings WHERE name = 'revdesk.failures_per_minute'");
	query($node, $database, $guess->(100_000), connstr => $tcp);
	my $seen = $unknown->() - 1000;
	ok($seen >= 5 && $seen < 20, "of 100,000 guesses $seen were looked at");
	refused($node, $database, 'a1', 'then a valid key is refused from there', connstr => $tcp);
	my ($stdout) = query($node, $database, "SELECT app.try('" . token('a1') . "') = app.try('" . token('ee') . "')", connstr => $tcp);
	is($stdout, 't', 'in the same words as an unknown one');
	query_ok($node, $database, as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'but not from elsewhere');
};

# There is no checksum: what has not the form of a key is refused unseen.
attack 'T10', 'the form of a key is checked before the table is touched', <<'CASE';
a> SELECT app.try('${KEY_UNKNOWN}')
a> BEGIN
a> SELECT app.probes() AS before \gset
a> SELECT count(app.try(x)) FROM unnest(ARRAY['', 'revdesk_', upper('${KEY_A1}'), '${KEY_A1}' || '0', 'reVdesk_' || substr('${KEY_A1}', 9), substr('${KEY_A1}', 1, 39) || 'g']) AS x
a> SELECT 'malformed: ' || app.probes() - :before
a> SELECT app.try('${KEY_UNKNOWN}')
a> SELECT 'well-formed: ' || app.probes() - :before
a> COMMIT
must malformed: 0
must well-formed: 1
CASE

attack 'T11', 'keys of another environment', <<'CASE';
su> UPDATE revdesk.api_keys SET environment = 'development' WHERE name = 'key a1'
su> ALTER DATABASE ${DATABASE} SET revdesk.accepted_environments = 'production'
a> SELECT 'development: ' || app.try('${KEY_A1}')
a> SELECT 'production: ' || app.try('${KEY_A2}')
a> SET revdesk.accepted_environments = 'production, development'
a> SELECT set_config('revdesk.accepted_environments', 'development', true)
a> ALTER ROLE api SET revdesk.accepted_environments = 'development'
a> SELECT 'still: ' || app.try('${KEY_A1}')
must development: 28000
must production: accepted
must (?s)42501.*42501.*42501.*still: 28000
CASE

attack_end;
