# What the TAP tests start from: an installation with two organizations, their
# sub-entities, users, a key of each scope, and protected tables.

package Fixture;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'sleep';

our @EXPORT = qw(
  token key_hash
  install_extension make_data
  as_key query query_ok refused wait_until
  force_parallel
);

# A key's token: its name, two hexadecimal digits, sixteen times.
sub token
{
	my $name = shift;
	return 'revdesk_' . $name x 16;
}

sub key_hash
{
	my $name = shift;
	require Digest::SHA;
	return Digest::SHA::sha256_hex(token($name));
}

# The setting that forces parallel plans: it is called so from 16 on.
sub force_parallel
{
	my $node = shift;
	return $node->pg_version < 16 ? 'force_parallel_mode' : 'debug_parallel_query';
}

sub install_extension
{
	my ($node, $database) = @_;
	$node->safe_psql($database, 'CREATE EXTENSION revdesk_auth CASCADE');
	return;
}

# Tenants A, A1, A2, B and B1; the users ulla (member of A1 and B) and victor
# (of A2); keys; app.docs with "rows" rows for each tenant and each user, and
# app.parts, the same in partitions.  The roles api, without privileges but on
# those tables, and owner, who owns them.
sub make_data
{
	my ($node, $database, $rows) = @_;
	$rows //= 10;
	$node->safe_psql($database, <<"SQL");
DO \$\$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'api') THEN
    CREATE ROLE api LOGIN;
    CREATE ROLE owner LOGIN;
  END IF;
END
\$\$;
INSERT INTO revdesk.tenants (id, umbrella_id, name) VALUES
  ('aaaaaaaa-0000-0000-0000-000000000000', NULL, 'A'),
  ('aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-0000-0000-0000-000000000000', 'A1'),
  ('aaaaaaaa-0000-0000-0000-000000000002', 'aaaaaaaa-0000-0000-0000-000000000000', 'A2'),
  ('bbbbbbbb-0000-0000-0000-000000000000', NULL, 'B'),
  ('bbbbbbbb-0000-0000-0000-000000000001', 'bbbbbbbb-0000-0000-0000-000000000000', 'B1');
INSERT INTO revdesk.users (id, subject) VALUES
  ('cccccccc-0000-0000-0000-000000000001', 'ulla'),
  ('cccccccc-0000-0000-0000-000000000002', 'victor');
INSERT INTO revdesk.memberships (tenant_id, user_id) VALUES
  ('aaaaaaaa-0000-0000-0000-000000000001', 'cccccccc-0000-0000-0000-000000000001'),
  ('bbbbbbbb-0000-0000-0000-000000000000', 'cccccccc-0000-0000-0000-000000000001'),
  ('aaaaaaaa-0000-0000-0000-000000000002', 'cccccccc-0000-0000-0000-000000000002');
INSERT INTO revdesk.api_keys (id, name, key_hash, scope, tenant_id, user_id, access)
SELECT ('dddddddd-0000-0000-0000-0000000000' || key)::uuid, 'key ' || key,
       sha256(('revdesk_' || repeat(key, 16))::bytea), scope, tenants.id, users.id, access
FROM (VALUES
  ('a0', 'organization', 'A', NULL, 'write'),
  ('a1', 'sub_entity', 'A1', NULL, 'write'),
  ('a2', 'sub_entity', 'A2', NULL, 'write'),
  ('b0', 'organization', 'B', NULL, 'write'),
  ('b1', 'sub_entity', 'B1', NULL, 'write'),
  ('c1', 'user', NULL, 'ulla', 'write'),
  ('c2', 'user', NULL, 'victor', 'write'),
  ('ad', 'organization', 'A', NULL, 'admin'),
  ('af', 'organization', 'A', NULL, 'read')
) AS keys (key, scope, tenant, subject, access)
LEFT JOIN revdesk.tenants ON tenants.name = keys.tenant
LEFT JOIN revdesk.users ON users.subject = keys.subject;

CREATE SCHEMA app;
CREATE TABLE app.docs (id serial PRIMARY KEY, tenant_id uuid, owner_id uuid, umbrella_id uuid, amount integer, body text);
INSERT INTO app.docs (tenant_id, amount, body)
SELECT id, i, format('CANARY_%s_%s', name, i) FROM revdesk.tenants, generate_series(1, $rows) AS i ORDER BY i, id;
INSERT INTO app.docs (owner_id, amount, body)
SELECT id, i, format('CANARY_%s_%s', subject, i) FROM revdesk.users, generate_series(1, $rows) AS i ORDER BY i, id;
CREATE TABLE app.parts (LIKE app.docs) PARTITION BY LIST (tenant_id);
CREATE TABLE app.parts_a PARTITION OF app.parts FOR VALUES IN
  ('aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-0000-0000-0000-000000000002');
CREATE TABLE app.parts_rest PARTITION OF app.parts DEFAULT;
INSERT INTO app.parts SELECT * FROM app.docs;
CREATE TABLE app.registrations (LIKE app.docs);
INSERT INTO app.registrations SELECT * FROM app.docs;
SELECT revdesk_protect('app.docs', owner_column => 'owner_id', umbrella_column => 'umbrella_id');
SELECT revdesk_protect('app.parts', umbrella_column => 'umbrella_id');
SELECT revdesk_protect('app.registrations', walk_up => true);
ALTER TABLE app.docs OWNER TO owner;
ALTER TABLE app.parts OWNER TO owner;
ALTER TABLE app.registrations OWNER TO owner;
GRANT USAGE ON SCHEMA app TO api, owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO api;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA app TO api;
ANALYZE app.docs;
ANALYZE app.parts;
ANALYZE app.registrations;
SQL
	return;
}

# The statements in a transaction that acts for a key.
sub as_key
{
	my ($name, $sql) = @_;
	return "BEGIN;\nSELECT revdesk_authenticate('" . token($name) . "') \\g /dev/null\n$sql;\nCOMMIT;\n";
}

# Run statements as a role (default: api); returns what they print and what
# they complain of.  Goes on after errors.
#
# They are in a file, since a psql that cannot connect does not read what is
# written to it.
sub query
{
	my ($node, $database, $sql, %options) = @_;
	my ($stdout, $stderr);
	my $role = $options{role} // 'api';
	my $connection = $options{connstr} // $node->connstr($database);
	my $file = File::Temp->new;
	print {$file} $sql;
	close $file;
	$node->psql(
		$database, '',
		connstr => "$connection user=$role",
		extra_params => [ '-f', "$file" ],
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 0);
	return ($stdout, $stderr =~ s/^psql:\Q$file\E:/psql:<stdin>:/mgr);
}

# Wait until a superuser's query says true, also while the server lets nobody in;
# Cluster's poll_query_until() dies of a psql that ends before its input is written.
sub wait_until
{
	my ($node, $database, $sql) = @_;
	my ($stdout, $stderr);
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		($stdout, $stderr) = query($node, $database, $sql, role => 'postgres');
		return 1 if $stdout eq 't' && $stderr eq '';
		sleep 0.1;
	}
	diag("not true in time: $sql\nsaid last: $stdout$stderr");
	return 0;
}

# The statements print this, and complain of nothing.
sub query_ok
{
	my ($node, $database, $sql, $expected, $name, %options) = @_;
	my ($stdout, $stderr) = query($node, $database, $sql, %options);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($stdout, $expected, $name) && $stderr eq '' && return 1;
	diag($stderr) if $stderr ne '';
	is($stderr, '', "$name: no complaint") if $stdout eq $expected;
	return 0;
}

# The key is refused.
sub refused
{
	my ($node, $database, $key, $name, %options) = @_;
	my ($stdout, $stderr) =
	  query($node, $database, as_key($key, 'SELECT revdesk_scope()'), %options);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($stderr, qr/ERROR:  API key rejected/, $name);
}

# A session that stays open.

package Fixture::Session;

sub new
{
	my ($class, $node, $database, $role) = @_;
	return $class->connect($node, $node->connstr($database) . ' user=' . ($role // 'api'));
}

# A session over any connection string, with further arguments for psql.  One
# that is refused ends at once; its results are why.
sub connect
{
	my ($class, $node, $connection, @arguments) = @_;
	my $self = bless { in => '', out => '', err => '', marks => 0 }, $class;
	$self->{timer} = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
	$self->{run} = IPC::Run::start(
		[ $node->installed_command('psql'), '-XAtq', @arguments, '-d', $connection, '-c', '\\echo ready', '-f', '-' ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, $self->{timer});
	IPC::Run::pump($self->{run}) until $self->{out} =~ /^ready\n/ || !$self->{run}->pumpable;
	return $self;
}

# Run statements; returns what they print, errors among it.
sub query
{
	my ($self, $sql) = @_;
	$self->start($sql);
	return $self->result;
}

# The same in two parts: begin, and wait for the end.
sub start
{
	my ($self, $sql) = @_;
	my $mark = 'done ' . ++$self->{marks};
	return unless $self->{run}->pumpable;
	$self->{out} = $self->{err} = '';
	$self->{in} .= "$sql\n;\n\\echo $mark\n\\warn $mark\n";
	IPC::Run::pump_nb($self->{run}) while length $self->{in};
	return;
}

sub result
{
	my $self = shift;
	my $mark = "done $self->{marks}";
	$self->{timer}->start($PostgreSQL::Test::Utils::timeout_default);
	# A server that ends the connection ends psql, without a mark.
	IPC::Run::pump($self->{run})
	  until ($self->{out} =~ /^$mark\n/m && $self->{err} =~ /^$mark\n/m) || !$self->{run}->pumpable;
	my $result = $self->{err} . $self->{out};
	$result =~ s/^$mark\n//mg;
	chomp $result;
	return $result;
}

# Send statements, without waiting for their end.
sub send
{
	my ($self, $sql) = @_;
	$self->{in} .= "$sql;\n";
	IPC::Run::pump_nb($self->{run}) while length $self->{in};
	return;
}

sub quit
{
	my $self = shift;
	$self->{in} .= "\\q\n" if $self->{run}->pumpable;
	return IPC::Run::finish($self->{run});
}

1;
