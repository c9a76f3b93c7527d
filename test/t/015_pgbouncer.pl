# 50 clients of all scopes over 2 connections of pgbouncer in transaction mode:
# each sees its own rows, all of them, and nothing stays for the next one.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('pooled');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nrevdesk.flush_interval = 3600\n");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');

my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$folder/users.txt", qq{"api" ""\n});
append_to_file("$folder/pgbouncer.ini", <<"INI");
[databases]
postgres = host=@{[ $node->host ]} port=@{[ $node->port ]} user=api
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
INI
my $pooler = IPC::Run::start([ -x '/usr/sbin/pgbouncer' ? '/usr/sbin/pgbouncer' : 'pgbouncer', "$folder/pgbouncer.ini" ], '<', '/dev/null', '>', "$folder/log", '2>&1');
my @to = ('-h', $folder, '-p', $port, '-U', 'api');
my $pooled = "host=$folder port=$port dbname=postgres user=api";
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if -S "$folder/.s.PGSQL.$port";
	select undef, undef, undef, 0.1;
}
query_ok($node, 'postgres', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'through the pooler', connstr => $pooled);

# What each key is to see; a request that sees anything else divides by zero.
# The fourth is the read key.
my %rows = (a0 => 30, a1 => 10, a2 => 10, b0 => 20, b1 => 10, c1 => 30, c2 => 20, af => 30);
my %seen = map { ($_ => (query($node, 'postgres', as_key($_, 'SELECT md5(string_agg(body, NULL ORDER BY body)) FROM app.docs')))[0]) } keys %rows;
my $table = join ', ', map { "('" . token($_) . "', $rows{$_}, '$seen{$_}')" } sort keys %rows;
$node->safe_psql('postgres', "CREATE TABLE app.expected (n serial, token text, rows int, seen text); INSERT INTO app.expected (token, rows, seen) VALUES $table; GRANT SELECT ON app.expected TO api; GRANT TEMP ON DATABASE postgres TO api");
append_to_file("$folder/request.sql", <<'SQL');
\set n random(1, 8)
\set write random(1, 3)
\set fail random(1, 4)
SELECT count(*) FROM app.docs \gset before_
SELECT token, rows, seen FROM app.expected WHERE n = :n \gset
BEGIN;
SELECT revdesk_authenticate(:token);
SELECT 1 / (count(*) = :rows AND md5(string_agg(body, NULL ORDER BY body)) = :seen)::int / (:before_count = 0)::int FROM app.docs;
\if :write = 1
\if :n <> 4
UPDATE app.docs SET amount = amount + 1 WHERE id = (SELECT min(id) FROM app.docs);
\endif
\endif
\if :fail = 1
ROLLBACK;
\else
COMMIT;
\endif
SQL

my ($out, $err);
my $ran = IPC::Run::run([ 'pgbench', '-n', '-M', 'extended', '-c', '50', '-j', '2', '-t', '40', '-f', "$folder/request.sql", @to, 'postgres' ], '>', \$out, '2>', \$err);
ok($ran, '50 clients of 8 keys over 2 connections') or diag($out, $err);
like($out, qr{number of transactions actually processed: 2000/2000}, 'see their own rows, all of them, and none before');
is($node->safe_psql('postgres', "SELECT count(*) <= 2 FROM pg_stat_activity WHERE usename = 'api' AND backend_type = 'client backend'"), 't', 'over two connections');

# Clients that vanish in the middle of their transactions.
for my $round (1 .. 5)
{
	my @vanishing = map { Fixture::Session->connect($node, $pooled) } 1 .. 2;
	$_->query("BEGIN;\nSELECT revdesk_authenticate('" . token('a0') . "') \\g /dev/null\nSELECT count(*) FROM app.docs") for @vanishing;
	$_->{run}->kill_kill for @vanishing;
	query_ok($node, 'postgres', 'SELECT count(*), revdesk_scope() IS NULL FROM app.docs', '0|t', "clients that vanish, $round", connstr => $pooled);
	query_ok($node, 'postgres', as_key('b0', 'SELECT count(*) FROM app.docs'), '20', "and the next one, $round", connstr => $pooled);
}

# Each request was counted, once.
is($node->safe_psql('postgres', 'SELECT sum(requests) FROM revdesk.usage_in_memory()'), 1 + 8 + 2000 + 5 * 3, 'each request is counted once');

$pooler->signal('TERM');
$pooler->finish;
$node->stop;
done_testing();
