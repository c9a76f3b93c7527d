# What a dump, a restore and an upgrade of the whole server are tried with, and
# how to tell that all of it has arrived: nothing lost, nothing doubled, nothing
# open.

package Restored;

use strict;
use warnings;

use Exporter 'import';
use Fixture;
use Test::More;

our @EXPORT = qw(make_source objects_of check_restored);

# Children that lie before their parents in the table, as an old restore
# program reads them; keys after their replacements; a table that is declared
# with odd names; one that is protected no more, and exempt.
sub make_source
{
	my ($node, $database) = @_;
	install_extension($node, $database);
	make_data($node, $database);
	$node->safe_psql($database, <<'SQL');
UPDATE revdesk.tenants SET name = name || ' moved' WHERE umbrella_id IS NULL;
SELECT FROM revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000ad', '1 day');
SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a2', 'lost');
SELECT revdesk_suspend_tenant('bbbbbbbb-0000-0000-0000-000000000001');
CREATE TABLE app."Odd Table" ("Tenant Id" uuid, "Umbrella" uuid);
SELECT revdesk_protect('app."Odd Table"', 'Tenant Id', umbrella_column => 'Umbrella');
CREATE TABLE app.open (tenant_id uuid);
SELECT revdesk_protect('app.open'), revdesk_unprotect('app.open');
CREATE TABLE app.parent (tenant_id uuid);
CREATE TABLE app.child () INHERITS (app.parent);
SELECT revdesk_protect('app.parent');
CREATE VIEW app.recent WITH (security_invoker = true) AS SELECT * FROM app.docs;
CREATE VIEW app.mine AS SELECT count(*) FROM app.docs WHERE revdesk_scope_visible(tenant_id);
GRANT SELECT ON app.recent, app.mine TO api;
SELECT revdesk_exempt('app.open', 'holds nothing');
INSERT INTO revdesk.key_usage (key_id, bucket, requests, writes)
VALUES ('dddddddd-0000-0000-0000-0000000000a1', date_trunc('hour', now()) - interval '1 hour', 7, 3);
SQL
	is( $node->safe_psql($database,
			"SELECT bool_or(parent.ctid > child.ctid) FROM revdesk.tenants AS child JOIN revdesk.tenants AS parent ON parent.id = child.umbrella_id"),
		't', 'a child lies before its parent');
	return;
}

# All that must be the same afterwards, in lines, whatever the release of
# PostgreSQL: 17 has added MAINTAIN to the privileges of owners, and counts the
# types of tables among the members of an extension.  Privileges that are the
# default are the same whether written down or not.
sub objects_of
{
	my ($node, $database) = @_;
	return [ split /\n/, $node->safe_psql($database, <<'SQL') ];
SELECT polrelid::regclass::text, polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
FROM pg_policy ORDER BY 1, 2;
SELECT oid::regclass::text, relrowsecurity, relforcerowsecurity,
       (SELECT string_agg(concat_ws(' ', grantor::regrole, grantee::regrole, privilege_type), ', ' ORDER BY privilege_type, grantee::regrole::text)
        FROM aclexplode(relacl) WHERE privilege_type <> 'MAINTAIN') FROM pg_class
WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'v') ORDER BY 1;
SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2;
SELECT evtname, evtevent, evtfoid::regprocedure, evtenabled, evttags FROM pg_event_trigger ORDER BY 1;
SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'app'::regnamespace ORDER BY 1;
SELECT * FROM revdesk.tenants ORDER BY id;
SELECT * FROM revdesk.users ORDER BY id;
SELECT * FROM revdesk.memberships ORDER BY user_id, tenant_id;
SELECT * FROM revdesk.api_keys ORDER BY id;
SELECT * FROM revdesk.protected_tables ORDER BY relation::text;
SELECT * FROM revdesk.exempt_tables ORDER BY relation::text;
SELECT * FROM revdesk.key_usage ORDER BY key_id, bucket;
SELECT * FROM revdesk.audit_log ORDER BY id;
SELECT extversion FROM pg_extension WHERE extname = 'revdesk_auth';
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend JOIN pg_extension AS e ON e.oid = refobjid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'revdesk_auth' AND classid <> 'pg_type'::regclass ORDER BY 1;
SELECT pg_describe_object(classoid, objoid, objsubid), concat_ws(' ', grantor::regrole, grantee::regrole, privilege_type)
FROM pg_init_privs, aclexplode(initprivs), (SELECT extowner FROM pg_extension WHERE extname = 'revdesk_auth') AS extension
WHERE privtype = 'e' AND privilege_type <> 'MAINTAIN' AND NOT (classoid = 'pg_proc'::regclass AND initprivs @> acldefault('f', extowner)) ORDER BY 1, 2;
SELECT oid::regprocedure::text,
       (SELECT string_agg(concat_ws(' ', grantor::regrole, grantee::regrole, privilege_type), ', ' ORDER BY grantee::regrole::text)
        FROM aclexplode(COALESCE(proacl, acldefault('f', proowner))))
FROM pg_proc WHERE pronamespace = 'revdesk'::regnamespace OR proname ~ '^revdesk_' ORDER BY 1;
SQL
}

my $count = 'SELECT count(*) FROM app.docs';

# Everything of the source, whose objects_of() were $original, in this database
# of this cluster.
sub check_restored
{
	my ($restored, $database, $original, $how) = @_;
	is_deeply(objects_of($restored, $database), $original, "$how: nothing lost, nothing doubled");
	my %rows = (a0 => 30, a1 => 10, b0 => 20, c1 => 30, c2 => 20, ad => 30, af => 30);
	query_ok($restored, $database, as_key($_, $count), $rows{$_}, "$how: key $_") for sort keys %rows;
	refused($restored, $database, 'a2', "$how: a revoked key");
	refused($restored, $database, 'b1', "$how: a key of a suspended tenant");
	query_ok($restored, $database, $count, '0', "$how: no context, no rows");
	query_ok($restored, $database, as_key('a1', 'SELECT count(*) FROM app.registrations'), '20', "$how: walk-up");
	query_ok($restored, $database, as_key('a1', 'SELECT count(*) FROM app.recent'), '10', "$how: a view");
	query_ok($restored, $database, as_key('a1', 'SELECT count(*) FROM app.parts_a'), '10', "$how: a partition by its name");
	my (undef, $stderr) = query($restored, $database,
		as_key('a1', "INSERT INTO app.docs (tenant_id, umbrella_id) VALUES ('bbbbbbbb-0000-0000-0000-000000000000', NULL)"));
	like($stderr, qr/violates row-level security policy/, "$how: a write into another tenant");
	query_ok($restored, $database,
		as_key('a1', "INSERT INTO app.docs (tenant_id, umbrella_id) VALUES (revdesk_tenant_id(), 'bbbbbbbb-0000-0000-0000-000000000000') RETURNING umbrella_id"),
		'aaaaaaaa-0000-0000-0000-000000000000', "$how: the umbrella column's trigger");
	# The constraints and the registry are alive.
	(undef, $stderr) = query($restored, $database,
		"INSERT INTO revdesk.tenants (umbrella_id, name) VALUES ('aaaaaaaa-0000-0000-0000-000000000001', 'x')",
		role => getpwuid($<));
	like($stderr, qr/cannot be an umbrella/, "$how: the constraint triggers");
	$restored->safe_psql($database,
		"CREATE TABLE app.parts_new PARTITION OF app.parts FOR VALUES IN ('bbbbbbbb-0000-0000-0000-000000000000')")
	  if $restored->safe_psql($database, "DELETE FROM app.parts_rest; SELECT 1") eq '1';
	is( $restored->safe_psql($database, "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'app.parts_new'::regclass"),
		't', "$how: a new partition is protected");
	# The audit log goes on.
	my $last = $restored->safe_psql($database, 'SELECT max(id) FROM revdesk.audit_log');
	$restored->safe_psql($database, "SELECT revdesk_unprotect('app.registrations'), revdesk_protect('app.registrations')");
	is( $restored->safe_psql($database, "SELECT string_agg(action, ' ' ORDER BY id) FROM revdesk.audit_log WHERE id > $last"),
		'table.unprotected table.protected', "$how: the audit log goes on with numbers that are new");
	return;
}

1;
