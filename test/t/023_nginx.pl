# The nginx configuration of the example in front of an HTTP layer: where the
# credentials go, what is refused, request ids, and a log without secrets.
#
# The Node.js example stands in for PostgREST, which takes the same requests.
use strict;
use warnings;
use FindBin;
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep);

use lib "$FindBin::RealBin/lib";
use Desk;
use HttpClient;
use NodeServer;
use PostgreSQL::Test::Utils;

my $json = JSON::PP->new->canonical->utf8;
my $nginx = NodeServer::require_program('nginx');
my $configuration = "$Desk::top/examples/postgrest/nginx.conf";

# The example as it is.
my $prefix = PostgreSQL::Test::Utils::tempdir();
my ($out, $err) = run_command([ $nginx, '-t', '-q', '-p', $prefix, '-e', 'error.log', '-c', $configuration ]);
is("$out$err", '', 'nginx -t has nothing to say');
is(system($nginx, '-t', '-q', '-p', $prefix, '-e', 'error.log', '-c', $configuration), 0, 'nginx -t');

my $node = Desk->new_server('nginx');
$node->safe_psql('postgres', join ' ', map({ "INSERT INTO api.calls (caller, tenant_id) VALUES ('of $_', '" . Desk::id($_) . "');" }
      sort keys %Desk::umbrella_of), "INSERT INTO api.calls (caller, owner_id) VALUES ('of ulla', '" . Desk::id('ulla') . "')");
$node->safe_psql('postgres', Desk::key_sql($_->[0], 'organization', 'alpha', undef, 'read', allowed_networks => $_->[1]))
  for [ 'near', '{127.0.0.1/32}' ], [ 'far', '{10.9.8.7/32}' ];
my ($backend_port, $backend) = NodeServer::start($node);

# A server that answers with what it got, to see what nginx passes on.
my $mirror_port = PostgreSQL::Test::Cluster::get_free_port();
my $mirror = HttpClient::start_server($mirror_port, NodeServer::require_program('node'), '-e', q{
  const server = require('node:http').createServer((incoming, outgoing) => {
    outgoing.setHeader('X-Request-Id', 'of the backend');
    outgoing.setHeader('Access-Control-Allow-Origin', '*');
    server.getConnections((_, connections) =>
      outgoing.end(JSON.stringify({ url: incoming.url, headers: incoming.headers, connections })));
  });
  server.keepAliveTimeout = 60_000;
  server.listen(Number(process.argv[1]), '127.0.0.1');
}, $mirror_port);

# start_nginx(port of the server behind it): its port and its folder.
sub start_nginx
{
  my $behind = shift;
  my $port = PostgreSQL::Test::Cluster::get_free_port();
  my $folder = PostgreSQL::Test::Utils::tempdir();
  my $text = slurp_file($configuration);
  $text =~ s/listen 127\.0\.0\.1:8080;/listen 127.0.0.1:$port;/ or die 'no port to replace';
  $text =~ s/server 127\.0\.0\.1:3000;/server 127.0.0.1:$behind;/ or die 'no server to replace';
  append_to_file("$folder/nginx.conf", $text);
  my $pid = HttpClient::start_server($port, $nginx, '-p', $folder, '-e', 'error.log', '-c', "$folder/nginx.conf");
  return ($port, $folder, $pid);
}

my ($port, $folder, $front) = start_nginx($backend_port);
my ($mirror_front_port, undef, $mirror_front) = start_nginx($mirror_port);

sub ask
{
  my ($method, $path, $headers, $body) = @_;
  return HttpClient::request($port, $method, $path, $headers, $body);
}

# What arrives behind nginx.
sub passed
{
  my ($headers, $path) = @_;
  my $answer = HttpClient::request($mirror_front_port, 'GET', $path // '/api/v1/account', $headers);
  return ($answer->{status} == 200 ? $json->decode($answer->{body}) : { headers => {} }, $answer);
}

sub callers
{
  my $answer = shift;
  return "$answer->{status}" if $answer->{status} != 200;
  return join ' ', sort map { $_->{caller} =~ s/^of //r } @{ $json->decode($answer->{body}) };
}

my $alpha1 = Desk::token('alpha1_write');
my $beta = Desk::token('beta_admin');
my $calls = '/api/v1/voice/calls';
my $session = 'Bearer ' . HttpClient::jwt({ sub => 'ulla', iat => int time, exp => int(time) + 600 }, $NodeServer::secret);
my $all_of_ulla = 'alpha1 beta1 ulla';

# Credentials, as they arrive.
for my $case (
  [ 'Bearer', "Bearer $alpha1", $alpha1 ],
  [ 'another case', "bEArER $alpha1", $alpha1 ],
  [ 'upper case all over', uc "Bearer $alpha1", uc $alpha1 ],
  [ 'spaces', "Bearer    $alpha1", $alpha1 ],
  [ 'a tab', "Bearer\t$alpha1", $alpha1 ],
  [ 'the prefix alone', 'Bearer revdesk_', 'revdesk_' ],
  [ 'a character short', 'Bearer ' . substr($alpha1, 0, -1), substr $alpha1, 0, -1 ],
  [ 'more behind it', "Bearer $alpha1, Bearer x", "$alpha1, Bearer x" ],
  [ 'a dot', 'Bearer revdesk_a.b.c', 'revdesk_a.b.c' ],
  [ 'quotes and a dollar', 'Bearer revdesk_"$host', 'revdesk_"$host' ])
{
  my ($name, $value, $key) = @$case;
  my ($got) = passed({ Authorization => $value });
  is($got->{headers}{'x-api-key'}, $key, "bearer key moves: $name")
    or diag explain $got;
  is($got->{headers}{authorization}, undef, "bearer key moves: $name: Authorization is gone");
  ($got) = passed({ Authorization => $value, 'X-Api-Key' => $beta });
  isnt($got->{headers}{'x-api-key'}, $beta, "bearer key moves: $name: in place of the client's own");
}
# What HTTP::Tiny would not send: bytes that are not ASCII, and the header twice.
for my $lines ("Authorization: Bearer revdesk_\xc3\xa9", "Authorization: Bearer revdesk_1\r\nAuthorization: Bearer a.b.c",
  "Authorization:Bearer revdesk_1 \t ", "authorization: bearer\t revdesk_1\x01")
{
  my $answer = HttpClient::raw($mirror_front_port, "GET /api/v1/account HTTP/1.1\r\nHost: x\r\n$lines\r\nConnection: close\r\n\r\n");
  my $outcome = $answer =~ m{^HTTP/1.1 400} ? 'refused' : $answer =~ /"x-api-key":"revdesk_/ && $answer !~ /"authorization"/ ? 'moved' : $answer;
  like($outcome, qr/^(refused|moved)$/, 'bearer key moves or is refused: ' . ($lines =~ s/[^ -~]/./gr));
}
for my $value ($session, 'Bearer a.b.c', "Basic eDp5", "ApiKey $alpha1", "Token $alpha1", "Bearer$alpha1", "Bearer x $alpha1")
{
  my ($got) = passed({ Authorization => $value, 'X-Api-Key' => $beta });
  is($got->{headers}{authorization}, $value, 'passes as it is: ' . ($value =~ /^(\S{1,9})/)[0]);
  is($got->{headers}{'x-api-key'}, undef, 'and no X-Api-Key of the client with it');
}
for my $name ('X-Api-Key', 'x-api-key', 'X_Api_Key', 'X-API-KEY')
{
  my ($got) = passed({ $name => $beta });
  is($json->encode($got->{headers}) =~ /$beta/ ? 'passed' : 'dropped', 'dropped', "a client's own $name");
}

# Credentials, as they work.
is(callers(ask('GET', $calls, { Authorization => "Bearer $alpha1" })), 'alpha1', 'a bearer key');
is(callers(ask('GET', $calls, { Authorization => "ApiKey $alpha1" })), 'alpha1', 'an ApiKey');
is(callers(ask('GET', $calls, { Authorization => $session })), $all_of_ulla, 'a session');
is(callers(ask('GET', $calls, { Authorization => $session, 'X-Api-Key' => $beta })), $all_of_ulla, 'a session, and a key of others rides along');
is(callers(ask('GET', $calls, { Authorization => "Bearer $alpha1", 'X-Api-Key' => $beta })), 'alpha1', 'a key, and a key of others rides along');
for my $case (
  [ 'none', {}, 'credentials_required' ], [ 'X-Api-Key alone', { 'X-Api-Key' => $alpha1 }, 'credentials_required' ],
  [ 'the prefix alone', { Authorization => 'Bearer revdesk_' }, 'invalid_token' ],
  [ 'a malformed key', { Authorization => "Bearer $alpha1 x" }, 'invalid_token' ],
  [ 'upper case', { Authorization => uc "Bearer $alpha1" }, 'invalid_token' ],
  [ 'an unknown key', { Authorization => 'Bearer revdesk_' . '0' x 32 }, 'invalid_token' ],
  [ 'a malformed JWT', { Authorization => 'Bearer a.b.c' }, 'invalid_token' ])
{
  my ($name, $headers, $code) = @$case;
  my $answer = ask('GET', $calls, $headers);
  is("$answer->{status} " . ($json->decode($answer->{body})->{code} // ''), "401 $code", "credentials: $name");
  like($answer->{headers}{'www-authenticate'} // '', qr/^Bearer realm="revdesk"/, "credentials: $name: challenge");
}

# The client's address is the one that nginx sees.
my ($seen) = passed({ 'X-Forwarded-For' => '10.9.8.7' });
is($seen->{headers}{'x-forwarded-for'}, '127.0.0.1', "a client's own X-Forwarded-For is not passed on");
for my $case ([ 'near', 'alpha alpha1 alpha2' ], [ 'far', '401' ])
{
  my ($name, $expected) = @$case;
  is(callers(ask('GET', $calls, { Authorization => 'Bearer ' . Desk::token($name), 'X-Forwarded-For' => '10.9.8.7' })), $expected,
    "allowed networks: $name");
}

# Addresses.
my $headers = { Authorization => 'Bearer ' . Desk::token('alpha_admin') };
my %target = (
  '/api/v1/account' => '/account', '/api/v1/keys' => '/api_keys', '/api/v1/keys/create' => '/rpc/create_api_key',
  '/api/v1/keys/rotate' => '/rpc/rotate_api_key', '/api/v1/keys/revoke' => '/rpc/revoke_api_key',
  '/api/v1/auth/token' => '/rpc/auth_token', '/api/v1/sub_entities' => '/sub_entities', '/api/v1/members' => '/members',
  '/api/v1/voice/calls' => '/calls', '/api/v1/voice/phone_numbers' => '/phone_numbers', '/api/v1/contacts' => '/contacts',
  '/api/v1/caller_trust' => '/caller_trust', '/api/v1/caller_trust_registrations' => '/caller_trust_registrations',
  '/api/v1/personal_notes' => '/personal_notes',
);
for my $path (sort keys %target)
{
  my ($got) = passed($headers, "$path?limit=1");
  is($got->{url}, "$target{$path}?limit=1", $path);
}
is(ask('GET', $_, $headers)->{status}, 404, "not there: $_")
  for '/api/v2/account', '/api/v11/account', '/account', '/api/account', '/', '/api/v1/', '/api/v1/rpc/auth_token',
  '/api/v1/secrets', '/api/v1/contacts/x', '/api/v1/voice/calls/../../x', '/api/v1/account/';
is(ask('GET', '/api/v1/account%00', $headers)->{status}, 400, 'an address with a byte 0');
is(ask('GET', '/api/v1/x/../account', $headers)->{status}, 200, 'a path is what it resolves to');
is(ask($_, '/api/v1/account', $headers)->{status}, 405, "method $_") for qw(OPTIONS TRACE PROPFIND);
my $made = ask('POST', '/api/v1/auth/token', $headers, { name => 'made', tenant_id => Desk::id('alpha2') });
is($made->{status}, 200, 'POST /api/v1/auth/token');
is($made->{headers}{'cache-control'}, 'no-store', 'POST /api/v1/auth/token: not to be cached');
my ($token) = $made->{body} =~ /(revdesk_[0-9a-f]{32})/;
is(callers(ask('GET', $calls, { Authorization => "Bearer $token" })), 'alpha2', 'POST /api/v1/auth/token: the token works');
is(ask('POST', $calls, $headers, '{"caller":"' . 'x' x 1_100_000 . '"}')->{status}, 413, 'a body that is too large');

# A key in the address.
for my $case (
  [ 'query string', "$calls?apikey=$alpha1" ], [ 'query string, name', "$calls?$alpha1=x" ],
  [ 'query string, upper case', "$calls?key=" . uc $alpha1 ], [ 'query string, encoded', "$calls?key=" . $alpha1 =~ s/_/%5F/r ],
  [ 'query string, encoded letter', "$calls?key=" . $alpha1 =~ s/^r/%72/r ], [ 'query string, a part of it', "$calls?key=revdesk_a1" ],
  [ 'path', "/api/v1/$alpha1" ], [ 'path, encoded', '/api/v1/%72evdesk_' . '0' x 32 ])
{
  my ($name, $path) = @$case;
  my $answer = ask('GET', $path, $headers);
  is("$answer->{status} " . ($json->decode($answer->{body})->{code} // ''), '400 invalid_request', "a key in the $name");
  unlike($answer->{body}, qr/$alpha1/, "a key in the $name: not repeated");
}
is(ask('GET', "$calls?caller=eq.revdesk", $headers)->{status}, 200, 'the word revdesk in a query string is no key');

# Request ids, on every kind of answer.
for my $case (
  [ 200, $calls, $headers ], [ 401, $calls, {} ], [ 404, '/x', {} ], [ 400, "$calls?key=$alpha1", {} ],
  [ 400, "$calls?id=eq.x", $headers ])
{
  my ($status, $path, $with) = @$case;
  my $answer = ask('GET', $path, { %$with, 'X-Request-Id' => 'Abc-1.2:3_4' });
  is("$answer->{status} $answer->{headers}{'x-request-id'}", "$status Abc-1.2:3_4", "request id with $status");
  $answer = ask('GET', $path, $with);
  like($answer->{headers}{'x-request-id'} // '', qr/^[0-9a-f]{32}$/, "request id with $status, made here");
}
for my $id ('a b', 'a"b', '<script>', 'a\\b', 'x' x 129, 'a;b', 'a,b', $alpha1, uc $alpha1, "x:$alpha1")
{
  my ($got, $answer) = passed({ 'X-Request-Id' => $id });
  like($answer->{headers}{'x-request-id'}, qr/^[0-9a-f]{32}$/, 'a request id that is not harmless is replaced');
  is($got->{headers}{'x-request-id'}, $answer->{headers}{'x-request-id'}, 'and so it arrives');
}
# Into the log that is looked at below.
ask('GET', $calls, { 'X-Request-Id' => $alpha1 });

# What nginx takes out.
for my $case (
  [ 'count=planned', undef ], [ 'count=estimated', undef ], [ 'count=exact', 'count=exact' ], [ 'tx=rollback', 'tx=rollback' ],
  [ 'return=representation, count=planned', 'return=representation' ], [ 'COUNT=Planned,x', 'x' ],
  [ 'count=planned, count=estimated, return=minimal', 'return=minimal' ],
  [ 'return=minimal,count=planned ,count=estimated', 'return=minimal' ], [ 'a,count=estimated,b', 'a,b' ],
  [ 'count=planned,count=planned,count=planned', undef ], [ 'count="planned"', undef ], [ 'return=minimal; count=planned', undef ])
{
  my ($prefer, $left) = @$case;
  my ($got) = passed({ Prefer => $prefer });
  is($got->{headers}{prefer}, $left, "threat O06: Prefer: $prefer");
}
my ($got, $answer) = passed({ Origin => 'https://evil.example', Cookie => 'a=b' });
is_deeply([ @{ $got->{headers} }{qw(origin cookie)} ], [ undef, undef ], 'no Origin and no Cookie arrive');
ok(!grep({ /^access-control/ } keys %{ $answer->{headers} }), 'CORS is off');
is($answer->{headers}{'x-request-id'} =~ /^[0-9a-f]{32}$/ ? 1 : 0, 1, "the backend's own request id does not come on top");

# Node.js closes idle connections after 5 seconds: nginx is to be the first, so
# that no request goes to one that is being closed.
sub connections
{
  my ($body) = HttpClient::raw($mirror_port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") =~ /(\{.*\})/;
  return $json->decode($body)->{connections} - 1;
}
passed({});
cmp_ok(connections(), '>', 0, 'a connection is kept for the next request');
sleep 4.7;
is(connections(), 0, 'but less than 5 seconds');

# The server behind it is gone.
HttpClient::stop_server($mirror);
(undef, $answer) = passed($headers, '/api/v1/account?secret=x');
is("$answer->{status} " . $json->decode($answer->{body})->{code}, '503 unavailable', 'no backend');

HttpClient::stop_server($_) for $front, $mirror_front, $backend;
my $log = slurp_file("$folder/access.log");
cmp_ok($log =~ tr/\n//, '>', 30, 'the log has lines');
unlike($log, qr/revdesk_|bearer|basic/i, 'the log has no key and no header');
unlike($log, qr/[?]|apikey|limit=/, 'the log has no query string');
like($log, qr/ GET $calls 200 /, 'the log has paths and statuses');
unlike(slurp_file("$folder/error.log"), qr/revdesk_[0-9a-f]/i, 'the log of errors has no key');

done_testing();
