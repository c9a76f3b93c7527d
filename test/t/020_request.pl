# Requests as PostgREST makes them: where a credential may stand, what is refused
# and in which words, sessions, malformed headers, and the endpoints.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::RealBin/lib";
use Desk;

my $node = Desk->new_server('request');
my $connection = Desk::connect_as($node, 'authenticator');
my $plain = Desk::connect_as($node, 'plain');
my $json = JSON::PP->new->canonical->utf8;

# Main statements that every connection has.
my %main = (
  calls => q{SELECT "api"."calls"."id", "api"."calls"."caller" FROM "api"."calls" ORDER BY "api"."calls"."id"},
  call => q{SELECT "api"."calls"."id" FROM "api"."calls" WHERE "api"."calls"."id" = $1},
  insert => q{INSERT INTO "api"."calls"("caller", "tenant_id") SELECT $1, $2 RETURNING "api"."calls"."id"},
  move => q{UPDATE "api"."calls" SET "tenant_id" = $1 WHERE "api"."calls"."id" = $2 RETURNING "api"."calls"."id"},
  secret => q{SELECT * FROM "api"."secret"},
  account => q{SELECT "api"."account".* FROM "api"."account"},
  api_keys => q{SELECT "api"."api_keys".* FROM "api"."api_keys" ORDER BY "name"},
  sub_entities => q{SELECT "api"."sub_entities".* FROM "api"."sub_entities" ORDER BY "name"},
  members => q{SELECT "api"."members".* FROM "api"."members" ORDER BY "subject", "tenant_id"},
  insert_sub_entity => q{INSERT INTO "api"."sub_entities"("name", "umbrella_id") SELECT $1, $2 RETURNING *},
  insert_member => q{INSERT INTO "api"."members"("tenant_id", "user_id") SELECT $1, $2 RETURNING *},
  delete_member => q{DELETE FROM "api"."members" WHERE "tenant_id" = $1 AND "user_id" = $2 RETURNING 1},
  create_api_key => q{SELECT * FROM "api"."create_api_key"("name" := $1, "scope" := $2, "tenant_id" := $3, "access" := $4)},
  rotate_api_key => q{SELECT * FROM "api"."rotate_api_key"("id" := $1)},
  revoke_api_key => q{SELECT pgrst_call.pgrst_scalar FROM (SELECT "api"."revoke_api_key"("id" := $1) pgrst_scalar) pgrst_call},
  auth_token => q{SELECT * FROM "api"."auth_token"("name" := $1, "tenant_id" := $2)},
);

sub prepare_all
{
  my $to = shift;
  $to->prepare_main($_, $main{$_}) for sort keys %main;
  return $to;
}

$node->safe_psql('postgres', "INSERT INTO api.calls (caller, tenant_id) VALUES ('"
    . join("'), ('", map { "of $_', '" . Desk::id($_) } sort keys %Desk::umbrella_of) . "');"
    . "INSERT INTO api.calls (caller, tenant_id, owner_id) VALUES ('of ulla', NULL, '" . Desk::id('ulla') . "');"
    . 'CREATE TABLE api.secret (); ' . "ALTER ROLE authenticator SET revdesk.public_paths = '/health'");
$connection = prepare_all(Desk::connect_as($node, 'authenticator'));
prepare_all($plain);

my %answers;  # by status and code, for the table at the end

sub ask
{
  my ($to, %request) = @_;
  my $answer = $to->request(main => 'calls', %request);
  my $text = $answer->{status} < 300 ? '' : $answer->{body};
  $answers{ join "\t", $answer->{status}, $answer->{code}, $answer->{headers}{'WWW-Authenticate'} // '-' } //= $text
    if $text && $to == $connection;
  return $answer;
}

sub answers_with
{
  my ($answer, $status, $code, $name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is("$answer->{status} " . ($answer->{code} // '-'), "$status " . ($code // '-'), $name)
    or diag explain $answer;
  return $answer;
}

sub sees
{
  my ($answer, $expected, $name) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my $callers = $answer->{status} == 200 ? join ' ', sort map { $_->{caller} =~ s/^of //r } @{ $json->decode($answer->{body}) } : '';
  is("$answer->{status}: $callers", "200: $expected", $name) or diag explain $answer;
}

sub key { return { 'x-api-key' => Desk::token(shift) } }

my $alpha1 = Desk::token('alpha1_write');
my %all = (alpha => 'alpha alpha1 alpha2', beta => 'beta beta1 beta2');

# Where a key may stand.
for my $case (
  [ 'x-api-key', { 'x-api-key' => $alpha1 } ],
  [ 'Bearer', { authorization => "Bearer $alpha1" } ],
  [ 'bearer in another case, many spaces', { authorization => "bEARER    $alpha1" } ],
  [ 'ApiKey', { authorization => "ApiKey $alpha1" } ],
  [ 'Basic', { authorization => 'Basic ' . encode_base64("$alpha1:", '') } ],
  [ 'Basic with a password', { authorization => 'basic ' . encode_base64("$alpha1:x:y", '') } ],
  [ 'the same key twice', { 'x-api-key' => $alpha1, authorization => "Bearer $alpha1" } ])
{
  sees(ask($connection, headers => $case->[1]), 'alpha1', "key by $case->[0]");
}

# Every scope.
sees(ask($connection, headers => key('alpha_read')), $all{alpha}, 'organization key');
sees(ask($connection, headers => key('beta_write')), $all{beta}, 'another organization key');
sees(ask($connection, headers => key('ulla_read')), 'alpha1 beta1 ulla', 'user key');
sees(ask($connection, headers => key('wera_write')), '', 'key of a user without anything');

# Two credentials, or one where it must not be.
my %ulla = (sub => 'ulla', role => 'api_user', iat => time);
for my $case (
  [ 'two keys', headers => { 'x-api-key' => $alpha1, authorization => 'Bearer ' . Desk::token('beta_write') } ],
  [ 'a key and a malformed one', headers => { 'x-api-key' => $alpha1, authorization => 'Bearer revdesk_' } ],
  [ 'a key and Basic credentials', headers => { 'x-api-key' => $alpha1, authorization => 'Basic eDp5' } ],
  [ 'a key and an unknown scheme', headers => { 'x-api-key' => $alpha1, authorization => 'Digest x' } ],
  [ 'a key and an empty Authorization', headers => { 'x-api-key' => $alpha1, authorization => '' } ],
  [ 'a key and a session', headers => { 'x-api-key' => $alpha1, authorization => 'Bearer a.b.c' }, claims => \%ulla ],
  [ 'a key and a token without a subject', headers => { 'x-api-key' => $alpha1, authorization => 'Bearer a.b.c' } ],
  [ 'a key in the path', headers => { 'x-api-key' => $alpha1 }, path => "/calls/$alpha1" ],
  [ 'a key in the path, without another', path => "/calls/x$alpha1/y" ])
{
  my ($name, @request) = @$case;
  my $answer = answers_with(ask($connection, @request), 400, 'invalid_request', $name);
  like($answer->{headers}{'WWW-Authenticate'}, qr/error="invalid_request"/, "$name: challenge");
  unlike($json->encode($answer->{error}), qr/$alpha1/, "$name: the key is not repeated");
}

# None.
for my $case (
  [ 'no credentials' ], [ 'no headers', headers => '' ], [ 'claims without a subject', claims => { role => 'api_user' } ],
  [ 'a path near a public one', path => '/health/x' ], [ 'no claims', claims => '' ])
{
  my ($name, @request) = @$case;
  my $answer = answers_with(ask($connection, @request), 401, 'credentials_required', $name);
  is($answer->{headers}{'WWW-Authenticate'}, 'Bearer realm="revdesk"', "$name: challenge without an error");
}
sees(ask($connection, path => '/health'), '', 'a public path needs no credentials and shows no rows');
answers_with(ask($connection, path => '/health', headers => { 'x-api-key' => 'revdesk_' }), 401, 'invalid_token',
  'a bad key is refused on a public path too');

# Every kind of bad key is answered with the same bytes.
my %bad = (revoked => {}, expired => {}, networks => { allowed_networks => '{192.0.2.0/24}' },
  disabled => {}, suspended => {}, under_suspended => {}, development => { environment => 'development' });
$node->safe_psql('postgres', join "\n",
  map({ "SELECT revdesk_create_organization('$_', '" . Desk::id($_) . "');" } qw(suspended above)),
  "SELECT revdesk_create_sub_entity('" . Desk::id('above') . "', 'under', '" . Desk::id('under') . "');",
  map({ "SELECT revdesk_create_user('$_', '" . Desk::id($_) . "');" } qw(disabled)),
  map({ Desk::key_sql($_, 'sub_entity', 'alpha1', undef, 'write', %{ $bad{$_} }) } qw(revoked expired networks development)),
  Desk::key_sql('disabled', 'user', undef, 'disabled', 'write'),
  Desk::key_sql('suspended', 'organization', 'suspended', undef, 'write'),
  Desk::key_sql('under_suspended', 'sub_entity', 'under', undef, 'write'));
is(ask($connection, headers => key($_))->{status}, $_ eq 'networks' ? 401 : 200, "$_: still good") for sort keys %bad;
$node->safe_psql('postgres', join "\n",
  q{SELECT revdesk_revoke_key(id) FROM revdesk.api_keys WHERE name = 'revoked';},
  q{UPDATE revdesk.api_keys SET expires_at = now() WHERE name = 'expired';},
  "SELECT revdesk_disable_user('" . Desk::id('disabled') . "');",
  "SELECT revdesk_suspend_tenant('" . Desk::id('suspended') . "');",
  "SELECT revdesk_suspend_tenant('" . Desk::id('above') . "');",
  q{ALTER ROLE authenticator SET revdesk.accepted_environments = production});
$connection = prepare_all(Desk::connect_as($node, 'authenticator'));

my $long = 'revdesk_' . 'a' x 65536;
my @bad = (
  map({ [ $_, key($_) ] } sort keys %bad),
  [ 'unknown', { 'x-api-key' => 'revdesk_' . '0' x 32 } ],
  [ 'empty', { 'x-api-key' => '' } ],
  [ 'prefix alone', { 'x-api-key' => 'revdesk_' } ],
  [ 'upper case', { 'x-api-key' => uc $alpha1 } ],
  [ 'a space after it', { 'x-api-key' => "$alpha1 " } ],
  [ 'a line end after it', { 'x-api-key' => "$alpha1\n" } ],
  [ 'two of them', { 'x-api-key' => "$alpha1, $alpha1" } ],
  [ 'a character short', { 'x-api-key' => substr $alpha1, 0, -1 } ],
  [ '64 KB', { 'x-api-key' => $long } ],
  [ '64 KB as Bearer', { authorization => "Bearer $long" } ],
  [ '64 KB as Basic', { authorization => 'Basic ' . encode_base64($long, '') } ],
  [ 'NULL', { 'x-api-key' => undef } ],
  [ 'an array', { 'x-api-key' => [$alpha1] } ],
  [ 'an object', { 'x-api-key' => { key => $alpha1 } } ],
  [ 'a number', { 'x-api-key' => 1 } ],
  [ 'Authorization NULL', { authorization => undef } ],
  [ 'Authorization empty', { authorization => '' } ],
  [ 'an unknown scheme', { authorization => "Token $alpha1" } ],
  [ 'a bare key', { authorization => $alpha1 } ],
  [ 'Bearer with upper case', { authorization => 'Bearer ' . uc $alpha1 } ],
  [ 'Bearer without a token', { authorization => 'Bearer' } ],
  [ 'Basic that is no base64', { authorization => 'Basic %%%' } ],
  [ 'Basic without a user', { authorization => 'Basic ' . encode_base64(':x', '') } ],
  [ 'Basic with a byte 0', { authorization => 'Basic ' . encode_base64("$alpha1\0:", '') } ],
  [ 'a bearer token that is no key and no session', { authorization => 'Bearer a.b.c' } ],
);
my %bytes;
for my $case (@bad)
{
  my $answer = answers_with(ask($connection, headers => $case->[1]), 401, 'invalid_token', "bad key: $case->[0]");
  push @{ $bytes{ join '|', map { $answer->{error}{$_} // '' } qw(S C M D H W) } }, $case->[0];
}
is(scalar keys %bytes, 1, scalar(@bad) . ' kinds of bad keys, one answer, byte for byte') or diag explain \%bytes;

# Headers that are malformed as a whole.
for my $case (
  [ 'NULL', 'null' ], [ 'an array', '[]' ], [ 'a string', '"x"' ], [ 'cut off', '{"x-api-key":"' . $alpha1 ],
  [ 'followed by more', qq({"x-api-key":"$alpha1"} x) ], [ 'nothing but space', '  ' ],
  [ 'a byte 0 escaped', '{"x-api-key":"\u0000"}' ],
  [ 'half a surrogate', '{"x-api-key":"\ud800"}' ])
{
  my $answer = answers_with(ask($connection, headers => $case->[1]), 400, 'invalid_request', "headers: $case->[0]");
  unlike($json->encode($answer->{error}), qr/$alpha1/, "headers: $case->[0]: the key is not repeated");
}
answers_with(ask($connection, headers => '{"accept":' . '[' x 1000 . ']' x 1000 . "}"), 401, 'credentials_required',
  'headers: nested a thousand deep');
my $deep = ask($connection, headers => '{"accept":' . '[' x 1000000 . "}");
isnt($deep->{status}, 200, "headers: nested a million deep is refused ($deep->{status} $deep->{code})");
sees(ask($connection, headers => '{"x-api-key":{"x-api-key":"y"},"x-api-key":"' . $alpha1 . '"}'), 'alpha1',
  'headers: of two with a name the last counts, as for PostgREST');
sees(ask($connection, headers => qq({"x":{"x-api-key":"y","authorization":"z"},"x-api-key":"$alpha1"})), 'alpha1',
  'headers: only the top level counts');

# Request ids.
for my $case (
  [ 'harmless', '0f3A._:-b', 1 ], [ '128 long', 'a' x 128, 1 ], [ '129 long', 'a' x 129, 0 ], [ 'empty', '', 0 ],
  [ 'with a line end', "a\r\nSet-Cookie: x", 0 ], [ 'with quotes', 'a"b', 0 ], [ 'with a backslash', 'a\\b', 0 ],
  [ 'with a space', 'a b', 0 ], [ 'not ASCII', "a\x{e9}", 0 ], [ 'no text', ['a'], 0 ])
{
  my ($name, $id, $echoed) = @$case;
  for my $credentials ({}, key('alpha1_write'), { 'x-api-key' => 'revdesk_' })
  {
    my $answer = ask($connection, headers => { %$credentials, 'x-request-id' => $id });
    is($answer->{headers}{'X-Request-Id'}, $echoed ? $id : undef, "request id $name with $answer->{status}");
    ok(!grep({ /[\r\n]/ } %{ $answer->{headers} }), "request id $name with $answer->{status}: one line a header");
  }
}

# Sessions.
answers_with(ask($plain, claims => \%ulla), 401, 'invalid_token', 'sessions are off by default');
sees(ask($connection, claims => \%ulla), 'alpha1 beta1 ulla', 'session of a user');
sees(ask($connection, claims => { %ulla, company_id => Desk::id('beta1') }), 'beta1', 'session in a company');
sees(ask($connection, claims => { sub => 'viktor', company_id => Desk::id('alpha') }), $all{alpha}, 'session in an umbrella');
sees(ask($connection, claims => { sub => 'viktor' }), 'alpha', 'session of a member of an umbrella');
for my $case (
  [ 'not a member', id => Desk::id('alpha2') ], [ 'a company that does not exist', id => Desk::id('nothing') ],
  [ 'no uuid', id => 'alpha1' ], [ 'NULL', id => undef ], [ 'an array', id => [ Desk::id('alpha1') ] ], [ 'empty', id => '' ])
{
  my $answer = answers_with(ask($connection, claims => { %ulla, company_id => $case->[2] }), 403, 'insufficient_scope',
    "session in a company: $case->[0]");
  push @{ $bytes{$answer->{body}} }, $case->[0];
}
answers_with(ask($connection, claims => { sub => $_ }), 401, 'invalid_token', "session of subject '$_'")
  for 'nobody', 'disabled', 'ULLA', "ulla'--";
answers_with(ask($connection, claims => $_), 400, 'invalid_request', "claims: $_") for '[]', 'null', '{"sub":"ulla"';
$node->safe_psql('postgres', "SELECT revdesk_suspend_tenant('" . Desk::id('beta') . "')");
sees(ask($connection, claims => \%ulla), 'alpha1 ulla', 'session without its suspended company');
answers_with(ask($connection, claims => { %ulla, company_id => Desk::id('beta1') }), 403, 'insufficient_scope',
  'session in a suspended company');
$node->safe_psql('postgres', "SELECT revdesk_resume_tenant('" . Desk::id('beta') . "')");

# PostgreSQL's own refusals.
my $foreign = $node->safe_psql('postgres', q{SELECT id FROM api.calls WHERE caller = 'of beta1'});
my $own = $node->safe_psql('postgres', q{SELECT id FROM api.calls WHERE caller = 'of alpha1'});
my @foreign_insert = (main => 'insert', params => [ 'x', Desk::id('beta1') ], writes => 1);
for my $case (
  [ 'row security', 401, '42501', headers => key('alpha1_write'), @foreign_insert ],
  [ 'moving a row', 401, '42501', headers => key('alpha1_write'), main => 'move', params => [ Desk::id('beta1'), $own ], writes => 1 ],
  [ 'no privilege', 401, '42501', headers => key('alpha_admin'), main => 'secret' ],
  [ 'write of a read key', 405, '25006', headers => key('alpha1_read'), main => 'insert', params => [ 'x', Desk::id('alpha1') ], writes => 1 ])
{
  my ($name, $status, $code, @request) = @$case;
  my $answer = answers_with(ask($connection, @request), 403, 'insufficient_scope', "$name, http_errors on");
  like($answer->{headers}{'WWW-Authenticate'} // '', qr/error="insufficient_scope"/, "$name: challenge");
  is($answer->{headers}{'Cache-Control'}, 'no-store', "$name: not to be cached");
  answers_with(ask($plain, @request), $status, $code, "$name, http_errors off");
}
my $id_answer = ask($connection, headers => { %{ key('alpha1_write') }, 'x-request-id' => 'abc' }, @foreign_insert);
is($id_answer->{headers}{'X-Request-Id'}, 'abc', 'row security: the request id is echoed');
my $without = $connection->request(main => 'insert', params => [ 'x', Desk::id('beta1') ], writes => 1, path => '/health');
is($without->{sqlstate}, '42501', 'without a context the error is not rewritten');

# Ids of others are ids that do not exist.
sub alike
{
  my ($name, $key, $main, $others, $nobodys, @more) = @_;
  my @got = map { ask($connection, headers => key($key), main => $main, params => $_, writes => 1, @more) } $others, $nobodys;
  my @seen = map
  {
    my ($answer, $params) = @$_;
    my $text = join '|', $answer->{status}, $answer->{body}, $json->encode($answer->{headers});
    # The answer may repeat the id that was sent.
    $text =~ s/\Q$_\E/ID/g for grep { length > 30 } @$params;
    $text;
  } [ $got[0], $others ], [ $got[1], $nobodys ];
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($seen[0], $seen[1], "$name: an id of others is an id of nobody ($got[0]{status})");
  return $got[0];
}

my %key_id = map { split /\|/ } split /\n/, $node->safe_psql('postgres', 'SELECT name, id FROM revdesk.api_keys');
my $nobody = Desk::id('nobody');
alike('GET a row', 'alpha1_write', 'call', [$foreign], ['999999'], writes => 0);
alike('PATCH a row', 'alpha1_write', 'move', [ Desk::id('alpha1'), $foreign ], [ Desk::id('alpha1'), '999999' ]);
alike('POST a row', 'alpha1_write', 'insert', [ 'x', Desk::id('beta1') ], [ 'x', $nobody ]);
alike('PATCH to a tenant', 'alpha1_write', 'move', [ Desk::id('beta1'), $own ], [ $nobody, $own ]);
for my $rpc (qw(rotate_api_key revoke_api_key))
{
  my $answer = alike($rpc, 'alpha_admin', $rpc, [ $key_id{beta1_write} ], [$nobody]);
  answers_with($answer, 403, 'insufficient_scope', $rpc);
}
is(alike('create_api_key', 'alpha_admin', 'create_api_key',
    [ 'x', 'sub_entity', Desk::id('beta1'), 'write' ], [ 'x', 'sub_entity', $nobody, 'write' ])->{status}, 403, 'create_api_key');
is(alike('auth_token', 'alpha_admin', 'auth_token', [ 'x', Desk::id('beta1') ], [ 'x', $nobody ])->{status}, 403, 'auth_token');
is(alike('auth_token of an umbrella', 'alpha_admin', 'auth_token', [ 'x', Desk::id('beta') ], [ 'x', $nobody ])->{status}, 403, 'auth_token of an umbrella');
is(alike('POST sub_entities', 'alpha_admin', 'insert_sub_entity', [ 'x', Desk::id('beta') ], [ 'x', $nobody ])->{status}, 403, 'POST sub_entities');
is(alike('POST members, tenant', 'alpha_admin', 'insert_member', [ Desk::id('beta1'), Desk::id('wera') ], [ $nobody, Desk::id('wera') ])->{status}, 403, 'POST members');
alike('DELETE members', 'alpha_admin', 'delete_member', [ Desk::id('beta1'), Desk::id('ulla') ], [ $nobody, Desk::id('ulla') ]);

# Endpoints: what they show.
sub rows
{
  my ($main, $key, $column) = @_;
  my $answer = ask($connection, headers => key($key), main => $main);
  return "$answer->{status}" if $answer->{status} != 200;
  return join ' ', sort map { ref $_->{$column} ? $_->{$column}{name} // '' : $_->{$column} // '' } @{ $json->decode($answer->{body}) };
}
is(rows('account', 'alpha1_read', 'tenant'), 'alpha1', 'GET account');
is(rows('account', 'ulla_write', 'scope'), 'user', 'GET account of a user');
is(rows('sub_entities', 'alpha_admin', 'name'), 'alpha1 alpha2', 'GET sub_entities of an organization');
is(rows('sub_entities', 'alpha1_write', 'name'), 'alpha1', 'GET sub_entities of a sub-entity');
is(rows('sub_entities', 'ulla_write', 'name'), 'alpha1 beta1', 'GET sub_entities of a user');
is(rows('members', 'alpha_admin', 'subject'), 'ulla viktor', 'GET members of an organization');
is(rows('members', 'alpha1_write', 'subject'), 'ulla', 'GET members of a sub-entity');
is(rows('members', 'ulla_write', 'subject'), 'ulla ulla', 'GET members of a user');
is(rows('api_keys', 'alpha1_write', 'name'), 'alpha1_write', 'GET api_keys: a write key sees itself');
is(rows('api_keys', 'alpha1_admin', 'name'),
  join(' ', sort qw(alpha1_admin alpha1_read alpha1_write development expired networks revoked)), 'GET api_keys of a sub-entity');
like(rows('api_keys', 'alpha_admin', 'name'), qr/^alpha1_admin .*alpha_write/, 'GET api_keys of an organization');
unlike(rows('api_keys', 'alpha_admin', 'name'), qr/beta|ulla/, 'GET api_keys of an organization: nobody else\'s');
my $listed = ask($connection, headers => key('alpha_admin'), main => 'api_keys')->{body};
unlike($listed, qr/hash|[0-9a-f]{64}|revdesk_[0-9a-f]/, 'GET api_keys: no hash and no key');

# Endpoints: what they do.
sub make
{
  my ($main, @request) = @_;
  my $answer = ask($connection, main => $main, writes => 1, @request);
  is($answer->{status}, 200, $main) or diag explain $answer;
  my $made = $json->decode($answer->{body} // '[{}]')->[0];
  my $times = () = ($answer->{body} // '') =~ /revdesk_[0-9a-f]{32}/g;
  is($times, 1, "$main: the key stands there once");
  is($answer->{headers}{'Cache-Control'}, 'no-store', "$main: not to be cached");
  return $made;
}
my $made = make('create_api_key', params => [ 'made', 'sub_entity', Desk::id('alpha1'), 'write' ],
  headers => { %{ key('alpha_admin') }, 'x-request-id' => 'made-1' });
sees(ask($connection, headers => { 'x-api-key' => $made->{token} }), 'alpha1', 'a created key works');
my $both = ask($connection, main => 'create_api_key', writes => 1, params => [ 'two', 'sub_entity', Desk::id('alpha1'), 'read' ],
  headers => { %{ key('alpha_admin') }, 'x-request-id' => 'made-2' });
is_deeply($both->{headers}, { 'X-Request-Id' => 'made-2', 'Cache-Control' => 'no-store' }, 'both headers of a created key');
my $rotated = make('rotate_api_key', params => [ $made->{key_id} ], headers => key('alpha1_admin'));
answers_with(ask($connection, headers => { 'x-api-key' => $made->{token} }), 401, 'invalid_token', 'a rotated key ends');
sees(ask($connection, headers => { 'x-api-key' => $rotated->{token} }), 'alpha1', 'its successor works');
my $revoke = sub { ask($connection, main => 'revoke_api_key', writes => 1, params => [ $rotated->{key_id} ], headers => key('alpha1_admin')) };
like($revoke->()->{body}, qr/true/, 'revoke_api_key');
like($revoke->()->{body}, qr/false/, 'revoke_api_key again');
answers_with(ask($connection, headers => { 'x-api-key' => $rotated->{token} }), 401, 'invalid_token', 'a revoked key ends');
answers_with(ask($connection, main => 'create_api_key', writes => 1, headers => key($_),
    params => [ 'x', 'sub_entity', Desk::id('alpha1'), 'read' ]), 403, 'insufficient_scope', "create_api_key by $_")
  for qw(alpha1_write alpha_read ulla_write);
answers_with(ask($connection, main => 'create_api_key', writes => 1, headers => key('alpha1_admin'),
    params => [ 'x', 'organization', Desk::id('alpha'), 'read' ]), 403, 'insufficient_scope', 'create_api_key wider than itself');

# Long-lived tokens.
$made = make('auth_token', params => [ 'token', Desk::id('beta1') ], claims => \%ulla);
sees(ask($connection, headers => { 'x-api-key' => $made->{token} }), 'beta1', 'a token of a session is tied to its company');
$made = make('auth_token', params => [ 'token', undef ], claims => { %ulla, company_id => Desk::id('alpha1') });
sees(ask($connection, headers => { 'x-api-key' => $made->{token} }), 'alpha1', 'the company that the session picks');
$made = make('auth_token', params => [ 'token', Desk::id('alpha2') ], headers => key('alpha_admin'));
sees(ask($connection, headers => { 'x-api-key' => $made->{token} }), 'alpha2', 'a token of an admin key');
for my $case (
  [ 'old', iat => time - 3700 ], [ 'no iat', iat => undef ], [ 'iat that is no number', iat => 'yesterday' ],
  [ 'iat NaN', iat => 'nan' ], [ 'negative iat', iat => -1 ], [ 'iat of 100 KB', iat => '1' x 100000 ])
{
  answers_with(ask($connection, main => 'auth_token', writes => 1, params => [ 'token', Desk::id('alpha1') ],
      claims => { %ulla, iat => $case->[2] }), 403, 'insufficient_scope', "auth_token, session with $case->[0]");
}
answers_with(ask($connection, main => 'auth_token', writes => 1, params => [ 'token', Desk::id('alpha2') ], claims => \%ulla),
  403, 'insufficient_scope', 'auth_token of a company that the user is no member of');
answers_with(ask($connection, main => 'auth_token', writes => 1, params => [ 'token', undef ], claims => \%ulla),
  400, '22023', 'auth_token tied to no company');
answers_with(ask($connection, main => 'auth_token', writes => 1, params => [ 'token', undef ], headers => key('alpha_write')),
  403, 'insufficient_scope', 'auth_token by a write key');

# Tenants and members.
my $new = ask($connection, main => 'insert_sub_entity', writes => 1, params => [ 'alpha3', undef ], headers => key('alpha_admin'));
is($json->decode($new->{body} // '[{}]')->[0]{umbrella_id}, Desk::id('alpha'), 'POST sub_entities, of the own organization');
is(rows('sub_entities', 'alpha_admin', 'name'), 'alpha1 alpha2 alpha3', 'the new sub-entity is there');
answers_with(ask($connection, main => 'insert_sub_entity', writes => 1, params => [ 'x', undef ], headers => key($_)),
  403, 'insufficient_scope', "POST sub_entities by $_") for qw(alpha_write ulla_write);
answers_with(ask($connection, main => 'insert_sub_entity', writes => 1, params => [ 'x', undef ], headers => key('alpha1_admin')),
  400, '23514', 'POST sub_entities by a sub-entity, which has none');
is(ask($connection, main => 'insert_member', writes => 1, params => [ Desk::id('alpha2'), Desk::id('wera') ],
    headers => key('alpha_admin'))->{status}, 200, 'POST members');
sees(ask($connection, headers => key('wera_write')), 'alpha2', 'the new member sees the tenant');
is(ask($connection, main => 'delete_member', writes => 1, params => [ Desk::id('alpha2'), Desk::id('wera') ],
    headers => key('alpha_admin'))->{count}, 1, 'DELETE members');
sees(ask($connection, headers => key('wera_write')), '', 'the former member sees it no more');

# Removable, and repeatable.
my $endpoints = q{SELECT count(*) FROM (
  SELECT relname FROM pg_class WHERE relnamespace = 'api'::regnamespace AND relkind = 'v'
  UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'api'::regnamespace) AS made};
is($node->safe_psql('postgres', $endpoints), 8, 'revdesk_expose() makes eight endpoints');
is($node->safe_psql('postgres', "SELECT revdesk_expose('api', '{api_user}'); $endpoints") =~ s/\s+//gr, 8, 'twice makes the same');
my $again = prepare_all(Desk::connect_as($node, 'authenticator'));
is($again->request(main => 'account', headers => key('alpha1_read'))->{count}, 1, 'and they work');
is($node->safe_psql('postgres', "CREATE VIEW api.mine AS SELECT 1; SELECT revdesk_unexpose('api'); $endpoints") =~ s/\s+//gr, 1,
  'revdesk_unexpose() removes them and nothing else');
is($node->safe_psql('postgres', "SELECT revdesk_unexpose('api'); $endpoints") =~ s/\s+//gr, 1, 'twice is harmless');
my (undef, undef, $taken) = $node->psql('postgres', "CREATE VIEW api.account AS SELECT 1; SELECT revdesk_expose('api', '{api_user}')");
like($taken, qr/already exists/, 'revdesk_expose() does not take a name that is in use');

note sprintf '%-6s %-22s %s', split(/\t/, $_) for "status\tcode\tWWW-Authenticate", sort keys %answers;
note "$_\n  " . $answers{$_} for sort keys %answers;

done_testing();
