# An upgrade leaves what a fresh installation makes, object for object, and all
# that was there before: rows, what administrators have granted, and who works.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'");
$node->start;

sub sql { return $node->safe_psql($_[1] // 'old', $_[0]) }

# All that belongs to the extension, a line for each property.
my $catalog = <<'SQL';
SET search_path = pg_catalog;
WITH members AS (
  SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
  FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'revdesk_auth')
), relations AS (
  SELECT members.object, class.* FROM members JOIN pg_class AS class ON class.oid = members.objid
  WHERE members.classid = 'pg_class'::regclass
), functions AS (
  SELECT members.object, proc.* FROM members JOIN pg_proc AS proc ON proc.oid = members.objid
  WHERE members.classid = 'pg_proc'::regclass
)
SELECT object || ' ' || property
FROM (
  SELECT object, 'exists' FROM members
  UNION ALL
  SELECT object, 'comment ' || obj_description(objid, classid::regclass::name) FROM members
  UNION ALL
  SELECT object, 'function ' || pg_get_functiondef(oid) || ' owner ' || proowner::regrole FROM functions WHERE prokind = 'f'
  UNION ALL
  SELECT object, 'relation ' || concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident, reloptions, relowner::regrole) FROM relations
  UNION ALL
  SELECT object, 'view ' || pg_get_viewdef(oid) FROM relations WHERE relkind = 'v'
  UNION ALL
  SELECT object, format('column %s %s %s %s not null %s identity %s default %s comment %s', attnum, attname, format_type(atttypid, atttypmod),
                        attcollation::regcollation, attnotnull, attidentity, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
  FROM relations JOIN pg_attribute ON attrelid = relations.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT object, 'index ' || pg_get_indexdef(indexrelid) FROM relations JOIN pg_index ON indrelid = relations.oid
  UNION ALL
  SELECT object, 'constraint ' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid) FROM relations JOIN pg_constraint ON conrelid = relations.oid
  UNION ALL
  SELECT object, 'trigger ' || concat_ws(' ', pg_get_triggerdef(pg_trigger.oid), tgenabled) FROM relations JOIN pg_trigger ON tgrelid = relations.oid WHERE NOT tgisinternal
  UNION ALL
  SELECT object, 'policy ' || concat_ws(' ', polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
  FROM relations JOIN pg_policy ON polrelid = relations.oid
  UNION ALL
  SELECT object, concat_ws(' ', 'event trigger', evtevent, evtfoid::regprocedure, evtenabled, evttags) FROM members JOIN pg_event_trigger ON oid = objid
  UNION ALL
  SELECT object, 'dumped ' || COALESCE((SELECT extcondition[array_position(extconfig, relations.oid)]), '')
  FROM relations JOIN pg_extension ON extname = 'revdesk_auth' AND relations.oid = ANY (extconfig)
  UNION ALL
  SELECT object, concat_ws(' ', 'grant', grantee::regrole, privilege_type, is_grantable)
  FROM functions, aclexplode(COALESCE(proacl, acldefault('f', proowner)))
  UNION ALL
  SELECT object, concat_ws(' ', 'grant', grantee::regrole, privilege_type, is_grantable)
  FROM relations, aclexplode(COALESCE(relacl, acldefault('r', relowner)))
) AS properties (object, property)
WHERE property IS NOT NULL
ORDER BY object COLLATE "C", property COLLATE "C";
SQL

my $version = do {
	opendir my $scripts, "$FindBin::RealBin/../../src/sql/released" or die $!;
	my ($last) = reverse sort map { /^revdesk_auth--([\d.]+)\.sql$/ ? $1 : () } readdir $scripts;
	$last;
};
is($version, '1.0', 'the released version');

# A database of the released version, in use.
sql("CREATE DATABASE $_", 'postgres') for qw(fresh old other_schema);
sql('CREATE EXTENSION revdesk_auth CASCADE', 'fresh');
sql("CREATE EXTENSION revdesk_auth VERSION '$version' CASCADE");
make_data($node, 'old');
my $fresh = sql($catalog, 'fresh');
isnt(sql($catalog), $fresh, 'before the upgrade something differs');

# The new library serves the old version until then.
query_ok($node, 'old', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'before the upgrade keys work');
my $rows = "SELECT count(*) || ' ' || md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM revdesk.%s AS t";
my @tables = qw(tenants users memberships api_keys protected_tables);
my @before = map { sql(sprintf $rows, $_) } @tables;

# What administrators have done with privileges stays.
sql('CREATE ROLE auditor; CREATE ROLE provisioner; CREATE ROLE latecomer', 'postgres');
sql('GRANT SELECT ON revdesk.audit_log TO auditor; GRANT INSERT ON revdesk.api_keys TO provisioner;
     GRANT EXECUTE ON FUNCTION revdesk_create_key TO provisioner; REVOKE EXECUTE ON FUNCTION revdesk_context() FROM PUBLIC;
     ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO latecomer; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO latecomer');

sql('ALTER EXTENSION revdesk_auth UPDATE');
is(sql("SELECT extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'revdesk_auth') FROM pg_extension WHERE extname = 'revdesk_auth'"), 't', 'upgraded');
is(sql("SELECT has_table_privilege('auditor', 'revdesk.audit_log', 'SELECT'), has_table_privilege('provisioner', 'revdesk.api_keys', 'INSERT'),
               has_function_privilege('provisioner', 'revdesk_create_key(text, text, uuid, uuid, text, text, timestamptz, cidr[], jsonb)', 'EXECUTE'),
               has_function_privilege('api', 'revdesk_context()', 'EXECUTE')"), 't|t|t|f', 'granted and revoked as before');
is(sql("SELECT count(*) FROM pg_depend AS d LEFT JOIN pg_proc ON d.classid = 'pg_proc'::regclass AND pg_proc.oid = d.objid LEFT JOIN pg_class ON d.classid = 'pg_class'::regclass AND pg_class.oid = d.objid,
               aclexplode(COALESCE(proacl, relacl)) AS acl
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'revdesk_auth')
          AND acl.grantee = 'latecomer'::regrole"), '0', 'default privileges open nothing that is new');

sql('REVOKE SELECT ON revdesk.audit_log FROM auditor; REVOKE INSERT ON revdesk.api_keys FROM provisioner;
     REVOKE EXECUTE ON FUNCTION revdesk_create_key FROM provisioner; GRANT EXECUTE ON FUNCTION revdesk_context() TO PUBLIC');
my %upgraded = map { ($_ => 1) } split /\n/, sql($catalog);
my %fresh = map { ($_ => 1) } split /\n/, $fresh;
ok(keys %fresh > 1000, 'there is something to compare');
is(join("\n", grep { !$upgraded{$_} } sort keys %fresh), '', 'nothing of a fresh installation is missing');
is(join("\n", grep { !$fresh{$_} } sort keys %upgraded), '', 'and nothing else is there');

is_deeply([ map { sql(sprintf $rows, $_) } @tables ], \@before, 'the rows are as they were');
query_ok($node, 'old', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'after the upgrade keys work');
query_ok($node, 'old', as_key('a1', "INSERT INTO app.docs (tenant_id) VALUES (revdesk_tenant_id()) RETURNING 1"), '1', 'and write');
query_ok($node, 'old', 'SELECT count(*) FROM app.docs', '0', 'without a key, nothing');
like((query($node, 'old', as_key('a1', "INSERT INTO app.docs (tenant_id) VALUES ('bbbbbbbb-0000-0000-0000-000000000000')")))[1],
	qr/violates row-level security/, 'and nothing of others');

# Into any schema.
sql("CREATE SCHEMA \"odd schema\"; CREATE EXTENSION pgcrypto; CREATE EXTENSION revdesk_auth SCHEMA \"odd schema\" VERSION '$version'; ALTER EXTENSION revdesk_auth UPDATE", 'other_schema');
is(sql("SELECT count(*) FROM pg_proc WHERE proname = 'revdesk_authenticate' AND pronamespace = '\"odd schema\"'::regnamespace", 'other_schema'), '2', 'in a schema that needs quoting');

# Counts wait for the upgrade, and are written after it.
sql("CREATE DATABASE counted; ", 'postgres');
sql("CREATE EXTENSION revdesk_auth VERSION '$version' CASCADE", 'counted');
make_data($node, 'counted');
query_ok($node, 'counted', as_key('a1', 'SELECT 1'), '1', 'counted before the upgrade') for 1 .. 3;
sql('ALTER EXTENSION revdesk_auth UPDATE', 'counted');
$node->append_conf('postgresql.conf', 'revdesk.flush_interval = 1');
$node->reload;
ok($node->poll_query_until('counted', "SELECT sum(requests) = 3 FROM revdesk.key_usage WHERE key_id = 'dddddddd-0000-0000-0000-0000000000a1'"), 'and written after it');

$node->stop;
done_testing();
