# The Node.js example with two pooled connections, and eight clients at once with
# keys of every scope, errors and clients that leave included: no response holds
# a row that its key does not see.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::RealBin/lib";
use Desk;
use HttpClient;
use Model;
use NodeServer;
use PostgreSQL::Test::Utils;

my $requests = $ENV{REVDESK_REQUESTS} // 8_000;
my $clients = 8;
my $json = JSON::PP->new->canonical->utf8;

NodeServer::require_program($_) for qw(node npm);
my $node = Desk->new_server('node');
$node->safe_psql('postgres', q{
  CREATE FUNCTION api.slow(seconds double precision) RETURNS bigint LANGUAGE sql VOLATILE
    AS 'SELECT count(*) FROM api.calls, pg_sleep(seconds)';
  CREATE FUNCTION api.fail(reason text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
      PERFORM count(*) FROM api.calls;
      RAISE 'failed: %', reason;
    END $$;
  CREATE FUNCTION api.terminate() RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER
    AS 'SELECT pg_terminate_backend(pg_backend_pid())';
  CREATE FUNCTION api.answer_with(status_and_headers text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
      RAISE 'refused' USING ERRCODE = 'PGRST', DETAIL = status_and_headers;
    END $$;
  CREATE FUNCTION api.set_headers(headers text) RETURNS text LANGUAGE sql VOLATILE
    AS $$SELECT set_config('response.headers', headers, true)$$;
  GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA api TO api_user;
});

my $model = Model->new;
my @tenants = sort keys %Desk::umbrella_of;
my @users = sort keys %Desk::members;

# Rows of everyone: those of calls are changed by the clients, those of trust are not.
my @sql;
for my $table (qw(calls trust))
{
  my $id = 0;
  for my $owner (map({ { tenant => $_ } } (@tenants) x 5), $table eq 'calls' ? map({ { owner => $_ } } (@users) x 3) : ())
  {
    $id++;
    $model->{rows}{$table}{$id} = { id => $id, %$owner };
    my ($column, $name) = %$owner;
    push @sql, sprintf "INSERT INTO api.%s (id, %s, caller) VALUES (%d, '%s', 'first')", $table, Model::json_name($column), $id, Desk::id($name);
  }
  push @sql, "SELECT setval(pg_get_serial_sequence('api.$table', 'id'), 1000)";
}
$node->safe_psql('postgres', join '; ', @sql);

# What the clients have to know about a caller.
sub describe
{
  my ($name, $headers, $caller) = @_;
  my %description = (name => $name, headers => $headers, access => 'write', scope => undef, user => undef);
  @description{qw(tenants trust own target)} = ([], [], [], {});
  my @calls = map { $model->{rows}{calls}{$_} } sort { $a <=> $b } keys %{ $model->{rows}{calls} };
  if (ref $caller)
  {
    my @own = grep { $model->is_own($caller, { tenant => $_ }) } @tenants;
    my $tenant = $own[-1];
    @description{qw(access scope)} = @$caller{qw(access scope)};
    $description{user} = $caller->{scope} eq 'user' ? Desk::id($caller->{user}) : undef;
    $description{tenants} = [ map { Desk::id($_) } @own ];
    $description{trust} = [ map { $_->{id} + 0 } $model->readable($caller, 'trust') ];
    $description{own} = [ map { $_->{id} + 0 } grep { $model->is_own($caller, $_) } @calls ];
    $description{target} = defined $tenant ? { tenant_id => Desk::id($tenant), owner_id => undef }
      : { tenant_id => undef, owner_id => $description{user} };
  }
  else
  {
    $description{status} = $caller;
  }
  my %is_own = map { ($_ => 1) } @{ $description{own} }, 0;
  $description{foreign} = [ grep { !$is_own{$_} } map { $_->{id} + 0 } @calls ];
  my %is_own_tenant = map { ($_ => 1) } @{ $description{tenants} };
  $description{foreign_tenants} = [ grep { !$is_own_tenant{$_} } map { Desk::id($_) } @tenants ];
  return \%description;
}

sub bearer { return { Authorization => "Bearer $_[0]" } }

sub session
{
  my ($user, %more) = @_;
  return bearer(HttpClient::jwt({ sub => $user, iat => int time, exp => int(time) + 3600, %more }, $NodeServer::secret));
}

my %callers = map { ($_ => $model->key_caller($_)) } keys %{ $model->{keys} };
my @callers = map { describe($_, bearer(Desk::token($_)), $callers{$_}) } sort keys %callers;
for my $user (@users)
{
  $callers{"session of $user"} = $model->session_caller($user);
  push @callers, describe("session of $user", session($user), $callers{"session of $user"});
}
$callers{'session in alpha1'} = $model->session_caller('ulla', 'alpha1');
push @callers,
  describe('session in alpha1', session('ulla', company_id => Desk::id('alpha1')), $callers{'session in alpha1'}),
  describe('session elsewhere', session('ulla', company_id => Desk::id('alpha2')), 403),
  describe('nobody', {}, 401),
  describe('unknown key', bearer('revdesk_' . '0' x 32), 401),
  describe('malformed key', bearer('revdesk_'), 401),
  describe('two keys', { %{ bearer(Desk::token('alpha_admin')) }, 'X-Api-Key' => Desk::token('beta_admin') }, 400),
  describe('key and session', { %{ session('ulla') }, 'X-Api-Key' => Desk::token('beta_admin') }, 400);
# Refused before the database is asked.
my $forged = describe('forged session', bearer(HttpClient::jwt({ sub => 'ulla', exp => int(time) + 3600 }, 'guessed')), 401);

my ($port, $server, $log) = NodeServer::start($node);

is(HttpClient::request($port, 'GET', '/calls', $forged->{headers})->{status}, 401, 'a session with a forged signature');
is(HttpClient::request($port, 'GET', '/calls', session('ulla', exp => int(time) - 1))->{status}, 401, 'a session that has ended');
is(HttpClient::request($port, 'GET', '/calls', bearer('bnVsbA.e30.x'))->{status}, 401, 'a session whose header is null');
is(HttpClient::request($port, 'GET', '/calls?x=' . Desk::token('alpha_read'), bearer(Desk::token('alpha_read')))->{status}, 400,
  'a key in the query string');
is(HttpClient::request($port, 'GET', '/calls', { %{ bearer(Desk::token('alpha_read')) }, 'X-Request-Id' => $_ })->{headers}{'x-request-id'}, undef,
  'a key as the request id is not sent back') for Desk::token('alpha_read'), uc Desk::token('alpha_read'), 'x:' . Desk::token('alpha_read');

# The server answers whatever a function does to its request, and goes on.
for my $case (
  [ 'a connection that ends', 'terminate', {}, qr/connection: Connection terminated unexpectedly/ ],
  [ 'an answer that is no JSON', 'answer_with', { status_and_headers => 'x' }, qr/error: .*JSON/ ],
  [ 'a status that is none', 'answer_with', { status_and_headers => '{"status":42,"headers":{}}' }, qr/ERR_HTTP_INVALID_STATUS_CODE/ ],
  [ 'a header of two lines', 'answer_with', { status_and_headers => '{"status":400,"headers":{"X":"a\nb"}}' }, qr/ERR_INVALID_CHAR/ ],
  [ 'a header of two lines, in a success', 'set_headers', { headers => '[{"X":"a\nb"}]' }, qr/ERR_INVALID_CHAR/ ])
{
  my ($name, $function, $arguments, $logged) = @$case;
  my $from = -s $log;
  is(HttpClient::request($port, 'POST', "/rpc/$function", bearer(Desk::token('alpha_write')), $arguments)->{status}, 500, $name);
  is(HttpClient::request($port, 'GET', '/account', bearer(Desk::token('alpha_write')))->{status}, 200, "$name: the server goes on");
  like(slurp_file($log, $from), $logged, "$name: logged");
}

my $plan = PostgreSQL::Test::Utils::tempdir() . '/plan.json';
append_to_file($plan, $json->encode({
    port => $port + 0, clients => $clients, requests => int $requests / $clients, seed => 7, callers => \@callers,
  }));
my $begin = time;
my ($out, $err) = run_command([ NodeServer::require_program('node'), "$FindBin::RealBin/lib/clients.mjs", $plan ]);
my $took = time - $begin;
my $result = eval { $json->decode($out) } // { counts => {} };
my %count = %{ $result->{counts} };

is($err, '', 'the clients had no trouble');
is($count{requests}, int($requests / $clients) * $clients, 'all requests were made');
is($count{$_}, 0, "$_ in all responses")
  for qw(foreign_rows wrong_statuses wrong_bodies wrong_request_ids failed);
diag explain $result->{examples} if @{ $result->{examples} // [] };
cmp_ok($count{aborted}, '>', $requests / 50, 'many clients left before their answer');
cmp_ok($count{rows}, '>', $requests, 'many rows were returned');
cmp_ok($count{"status_$_"} // 0, '>', $requests / 400, "many answers with $_") for 200, 201, 400, 401, 403, 404;
ok(!exists $count{status_500}, 'none with 500');

# What was written is where its writer may write.
my @written = map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('postgres',
  q{SELECT id, regexp_replace(caller, '^by (.*) [0-9.]+$', '\1'), tenant_id, owner_id FROM api.calls WHERE caller LIKE 'by %'});
my %name_of = map { (Desk::id($_) => $_) } @tenants, @users;
my @astray = grep
{
  my (undef, $writer, $tenant, $owner) = @$_;
  my $caller = $callers{$writer};
  !$caller || $caller->{access} eq 'read'
    || !$model->is_own($caller, { tenant => $name_of{$tenant}, owner => $name_of{$owner} });
} @written;
is(scalar @astray, 0, 'rows written where their writer may not') or diag explain \@astray;
cmp_ok(scalar @written, '>', $requests / 50, 'many rows were written');
is($node->safe_psql('postgres', q{SELECT count(*) FROM api.calls WHERE status = 'stolen'}), 0, 'rows of others changed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM api.calls WHERE caller = 'first'}), scalar keys %{ $model->{rows}{calls} },
  'rows of others deleted: none');

# Nothing is left open.
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'authenticator' AND state <> 'idle'});
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'authenticator'}), '<=', 2,
  'at most two connections, both idle');
is(HttpClient::request($port, 'GET', '/account', bearer(Desk::token('alpha_read')))->{status}, 200, 'the server still answers');

note sprintf '%d clients, %d rows written, %.1f s: ', $clients, scalar @written, $took;
note join ', ', map { "$_ $count{$_}" } sort keys %count;
HttpClient::stop_server($server);
done_testing();
