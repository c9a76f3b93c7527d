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
), columns AS (
  SELECT relations.object, attribute.*
  FROM relations JOIN pg_attribute AS attribute ON attrelid = relations.oid WHERE attnum > 0 AND NOT attisdropped
), parts AS (
  -- What belongs to members, with comments of its own.
  SELECT object, 'pg_constraint'::regclass AS classid, pg_constraint.oid, 'constraint ' || conname AS part,
         concat_ws(' ', pg_get_constraintdef(pg_constraint.oid), convalidated) AS definition
  FROM relations JOIN pg_constraint ON conrelid = relations.oid
  UNION ALL
  SELECT object, 'pg_class', indexrelid, 'index ' || indexrelid::regclass,
         concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident)
  FROM relations JOIN pg_index ON indrelid = relations.oid
  UNION ALL
  SELECT object, 'pg_trigger', pg_trigger.oid, 'trigger ' || tgname, concat_ws(' ', pg_get_triggerdef(pg_trigger.oid), tgenabled)
  FROM relations JOIN pg_trigger ON tgrelid = relations.oid WHERE NOT tgisinternal
  UNION ALL
  SELECT object, 'pg_policy', pg_policy.oid, 'policy ' || polname,
         concat_ws(' ', polcmd, polpermissive, polroles::regrole[], 'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid))
  FROM relations JOIN pg_policy ON polrelid = relations.oid
  UNION ALL
  SELECT object, 'pg_rewrite', pg_rewrite.oid, 'rule ' || rulename, concat_ws(' ', pg_get_ruledef(pg_rewrite.oid), ev_enabled)
  FROM relations JOIN pg_rewrite ON ev_class = relations.oid
  UNION ALL
  SELECT object, 'pg_statistic_ext', pg_statistic_ext.oid, 'statistics ' || stxname, pg_get_statisticsobjdef(pg_statistic_ext.oid)
  FROM relations JOIN pg_statistic_ext ON stxrelid = relations.oid
), acls AS (
  SELECT object, COALESCE(proacl, acldefault('f', proowner)) AS acl FROM functions
  UNION ALL
  SELECT object, COALESCE(relacl, acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner)) FROM relations
  UNION ALL
  SELECT object || ' column ' || attname, attacl FROM columns
  UNION ALL
  SELECT object, COALESCE(nspacl, acldefault('n', nspowner)) FROM members JOIN pg_namespace ON classid = 'pg_namespace'::regclass AND oid = objid
)
SELECT regexp_replace(object || ' ' || property, '\s+', ' ', 'g')
FROM (
  SELECT object, 'exists' FROM members
  UNION ALL
  SELECT object, 'comment ' || obj_description(objid, classid::regclass::name) FROM members
  UNION ALL
  SELECT members.object, concat_ws(' ', 'depends on', pg_describe_object(refclassid, refobjid, refobjsubid), deptype)
  FROM members JOIN pg_depend AS depend USING (classid, objid) WHERE refclassid <> 'pg_extension'::regclass
  UNION ALL
  SELECT object, concat_ws(' ', 'function', pg_get_functiondef(oid), probin, 'owner', proowner::regrole) FROM functions
  UNION ALL
  SELECT object, concat_ws(' ', 'relation', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident, reloptions, relowner::regrole, reltablespace) FROM relations
  UNION ALL
  SELECT object, 'view ' || pg_get_viewdef(oid) FROM relations WHERE relkind = 'v'
  UNION ALL
  SELECT object, concat_ws(' ', 'sequence', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle) FROM relations JOIN pg_sequence ON seqrelid = oid
  UNION ALL
  SELECT object, format('column %s %s %s %s not null %s identity %s generated %s default %s storage %s %s target %s comment %s', attnum, attname, format_type(atttypid, atttypmod),
                        attcollation::regcollation, attnotnull, attidentity, attgenerated, pg_get_expr(adbin, adrelid), attstorage, attcompression, attstattarget,
                        col_description(attrelid, attnum))
  FROM columns LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  UNION ALL
  SELECT object, concat_ws(' ', part, definition, 'comment', obj_description(oid, classid::regclass::name)) FROM parts
  UNION ALL
  SELECT object, concat_ws(' ', 'event trigger', evtevent, evtfoid::regprocedure, evtenabled, evttags, evtowner::regrole)
  FROM members JOIN pg_event_trigger ON classid = 'pg_event_trigger'::regclass AND oid = objid
  UNION ALL
  SELECT object, 'dumped ' || COALESCE((SELECT extcondition[array_position(extconfig, relations.oid)]), '')
  FROM relations JOIN pg_extension ON extname = 'revdesk_auth' AND relations.oid = ANY (extconfig)
  UNION ALL
  SELECT object, concat_ws(' ', 'grant', grantor::regrole, grantee::regrole, privilege_type, is_grantable) FROM acls, aclexplode(acl)
  UNION ALL
  -- What pg_dump takes for the privileges that CREATE EXTENSION gives; the owner's are implied.
  SELECT object, concat_ws(' ', 'initial grant', objsubid, grantor::regrole, grantee::regrole, privilege_type, is_grantable)
  FROM members JOIN pg_init_privs ON (classoid, objoid) = (classid, objid), aclexplode(initprivs) WHERE grantee <> grantor
) AS properties (object, property)
WHERE property IS NOT NULL
ORDER BY object COLLATE "C", property COLLATE "C";
SQL

# The kinds of objects that the list above knows the properties of.
my $unknown_kinds = <<'SQL';
SELECT DISTINCT pg_describe_object(classid, objid, 0)
FROM pg_depend
LEFT JOIN pg_class ON classid = 'pg_class'::regclass AND pg_class.oid = objid
LEFT JOIN pg_proc ON classid = 'pg_proc'::regclass AND pg_proc.oid = objid
LEFT JOIN pg_type ON classid = 'pg_type'::regclass AND pg_type.oid = objid
LEFT JOIN pg_type AS element ON element.typarray = pg_type.oid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'revdesk_auth')
  AND classid NOT IN ('pg_namespace'::regclass, 'pg_event_trigger'::regclass)
  AND COALESCE(relkind NOT IN ('r', 'v', 'S'), true) AND COALESCE(prokind <> 'f', true)
  -- 17 counts the types of tables.
  AND COALESCE(element.typrelid, pg_type.typrelid, 0) = 0;
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
is(sql($unknown_kinds, 'fresh'), '', 'no objects of kinds that this test does not compare');
my $released = sql($catalog);
isnt($released, $fresh, 'before the upgrade something differs');

# The new library serves the old version until then.
query_ok($node, 'old', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'before the upgrade keys work');
my $rows = "SELECT count(*) || ' ' || md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM revdesk.%s AS t";
my @tables = qw(tenants users memberships api_keys protected_tables);
my @before = map { sql(sprintf $rows, $_) } @tables;

# Undone, as if it had not been tried.
sql('BEGIN; ALTER EXTENSION revdesk_auth UPDATE; ROLLBACK');
ok(sql($catalog) eq $released, 'threat X10: an upgrade that is rolled back leaves nothing behind');

# What administrators have done with privileges stays.
sql('CREATE ROLE auditor; CREATE ROLE provisioner; CREATE ROLE latecomer', 'postgres');
sql('GRANT SELECT ON revdesk.audit_log TO auditor; GRANT INSERT ON revdesk.api_keys TO provisioner;
     GRANT EXECUTE ON FUNCTION revdesk_create_key TO provisioner; REVOKE EXECUTE ON FUNCTION revdesk_context() FROM PUBLIC;
     ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO latecomer; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO latecomer');

# While others work: they do not wait for the upgrade, nor it for them.
my $work = "SET lock_timeout = '10s';\nBEGIN;\nSELECT revdesk_authenticate('" . token('a1') . "') \\g /dev/null\nSELECT count(*) FROM app.docs";
my ($early, $late) = map { Fixture::Session->new($node, 'old') } 1 .. 2;
my $upgrade = Fixture::Session->new($node, 'old', getpwuid($<));
is($early->query("$work; DECLARE docs CURSOR FOR SELECT amount FROM app.docs ORDER BY amount; FETCH docs"), "10\n1", 'a transaction with a key is open');
is($upgrade->query("SET lock_timeout = '10s'; BEGIN; ALTER EXTENSION revdesk_auth UPDATE"), '', 'threat X10: the upgrade does not wait for it');
is($late->query($work), '10', 'threat X10: keys work before the upgrade commits');
is($upgrade->query('COMMIT'), '', 'the upgrade commits');
for my $session ($early, $late)
{
	is($session->query('SELECT count(*) FROM app.docs'), '10', 'an open transaction goes on');
	is($session->query("INSERT INTO app.docs (tenant_id) VALUES (revdesk_tenant_id()); SELECT count(*) FROM app.docs; SAVEPOINT s"), '11', 'and writes');
	like($session->query("INSERT INTO app.docs (tenant_id) VALUES ('bbbbbbbb-0000-0000-0000-000000000000')"), qr/violates row-level security/, 'threat X10: and nothing of others');
}
is($early->query('ROLLBACK TO s; FETCH ALL FROM docs; ROLLBACK'), join("\n", 2 .. 10), 'a cursor goes on');
is($late->query('ROLLBACK'), '', 'undone');
$_->quit for $early, $late, $upgrade;

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
is(join("\n", grep { !$upgraded{$_} } sort keys %fresh), '', 'threat X10: nothing of a fresh installation is missing');
is(join("\n", grep { !$fresh{$_} } sort keys %upgraded), '', 'threat X10: and nothing else is there');

is_deeply([ map { sql(sprintf $rows, $_) } @tables ], \@before, 'threat X10: the rows are as they were');
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
ok(wait_until($node, 'counted', "SELECT sum(requests) = 3 FROM revdesk.key_usage WHERE key_id = 'dddddddd-0000-0000-0000-0000000000a1'"), 'and written after it');

$node->stop;
done_testing();
