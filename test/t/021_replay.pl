# 20,000 requests as PostgREST sends them, on one connection, with keys and
# sessions of all kinds in random order while tenants, users and keys change:
# every answer is what a model in Perl expects, row by row.
#
# REVDESK_SEED repeats a run; REVDESK_REQUESTS says how many requests.
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

my $seed = srand($ENV{REVDESK_SEED} // 20250102);
my $requests = $ENV{REVDESK_REQUESTS} // 20_000;

my $node = Desk->new_server('replay');
$node->safe_psql('postgres', q{
  CREATE FUNCTION api.count_calls(wanted text) RETURNS bigint LANGUAGE sql STABLE
    AS 'SELECT count(*) FROM api.calls WHERE status = wanted';
  CREATE FUNCTION api.add_call(caller text, tenant_id uuid) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
    DECLARE made bigint;
    BEGIN
      INSERT INTO api.calls (caller, tenant_id, owner_id) VALUES (add_call.caller, add_call.tenant_id, NULL) RETURNING id INTO made;
      RETURN made;
    END $$;
  CREATE FUNCTION api.add_call_and_fail(caller text, tenant_id uuid) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
      PERFORM api.add_call(caller, tenant_id);
      RAISE 'no call wanted';
    END $$;
  GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA api TO api_user;
});

my $model = Model->new;
my @tenants = sort keys %Desk::umbrella_of;
my @users = sort keys %Desk::members;
my @statuses = qw(new open done);

# The rows that are there at first, of everyone and of no one.
{
  my @sql;
  my $fill = sub {
    my ($table, %row) = @_;
    my $rows = $model->{rows}{$table};
    my $id = 1 + keys %$rows;
    $rows->{$id} = { id => $id, caller => "first $id", status => $statuses[ $id % 3 ], %row };
    push @sql, sprintf 'INSERT INTO api.%s (%s) VALUES (%s)', $table,
      join(', ', map { Model::json_name($_) } grep { $_ ne 'umbrella' } Model::columns($table)),
      join ', ', map { Desk::literal(/tenant|owner/ && defined $rows->{$id}{$_} ? Desk::id($rows->{$id}{$_}) : $rows->{$id}{$_}) }
      grep { $_ ne 'umbrella' } Model::columns($table);
  };
  for my $round (1 .. 6)
  {
    for my $tenant (@tenants)
    {
      $fill->('calls', tenant => $tenant);
      $fill->('calls', tenant => $tenant, owner => $users[ $round % @users ]);
      $fill->('trust', tenant => $tenant);
    }
    $fill->($_ < 3 ? 'calls' : 'notes', owner => $users[ $_ % 3 ]) for 0 .. 5;
    $fill->('calls');
  }
  $node->safe_psql('postgres', join ";\n", @sql,
    map { "SELECT setval(pg_get_serial_sequence('api.$_', 'id'), 100000)" } qw(calls trust notes));
}

# The main statements, as recorded, for each table.
my %plural = (caller => 'text', status => 'text', tenant_id => 'uuid', owner_id => 'uuid');

sub prepare_all
{
  my $connection = shift;
  for my $table (qw(calls trust notes))
  {
    my $name = qq("api"."$table");
    my $columns = join ', ', map { qq($name.") . Model::json_name($_) . '"' } Model::columns($table);
    $connection->prepare_main("GET $table",
      qq( SELECT $columns FROM $name WHERE $name."id" > \$1 ORDER BY $name."id" LIMIT \$2 OFFSET \$3 ));
    my @writable = grep { !/^(id|umbrella_id)$/ } map { Model::json_name($_) } Model::columns($table);
    my $list = join ', ', map { qq("$_") } @writable;
    my $body = join ', ', map { qq("pgrst_body"."$_") } @writable;
    my $record = join ', ', map { qq("$_" $plural{$_}) } @writable;
    $connection->prepare_main("POST $table",
      qq(INSERT INTO $name($list) SELECT $body FROM (SELECT \$1 AS json_data) pgrst_payload, LATERAL (SELECT $list FROM json_to_record(pgrst_payload.json_data) AS _($record) ) pgrst_body RETURNING $name.*),
      Replay::JSON_OID);
    for my $column (grep { /status|tenant/ } @writable)
    {
      $connection->prepare_main("PATCH $table $column",
        qq(UPDATE $name SET "$column" = "pgrst_body"."$column" FROM (SELECT \$1 AS json_data) pgrst_payload, LATERAL (SELECT "$column" FROM json_to_record(pgrst_payload.json_data) AS _("$column" $plural{$column}) ) pgrst_body WHERE $name."id" = \$2 RETURNING $name.*),
        Replay::JSON_OID, Replay::UNKNOWN);
    }
    $connection->prepare_main("DELETE $table", qq(DELETE FROM $name WHERE $name."id" = \$1 RETURNING 1));
  }
  my $rpc = 'SELECT pgrst_call.pgrst_scalar FROM (SELECT "api"."%s"(%s) pgrst_scalar) pgrst_call';
  $connection->prepare_main('RPC count_calls', sprintf $rpc, 'count_calls', '"wanted" := $1::text');
  $connection->prepare_main("RPC $_", sprintf $rpc, $_, '"caller" := $1::text, "tenant_id" := $2::uuid')
    for qw(add_call add_call_and_fail);
  $connection->prepare_main('GET account', 'SELECT "api"."account"."scope", "api"."account"."access" FROM "api"."account"');
  return $connection;
}

sub pick { return $_[ rand @_ ] }

sub id_of { return defined $_[0] ? Desk::id($_[0]) : undef }

# A caller: its headers and claims, and who the model takes it for, or a status.
sub draw_credentials
{
  my $has_sessions = shift;
  my $kind = rand;
  if ($kind < 0.7)
  {
    my $name = pick(sort keys %{ $model->{keys} });
    my $token = Desk::token($name);
    my $headers = pick({ 'x-api-key' => $token }, { authorization => "ApiKey $token" }, { 'x-api-key' => $token });
    return (headers => $headers, caller => $model->key_caller($name) // 401);
  }
  if ($kind < 0.85)
  {
    my $user = pick(@users, @users, 'nobody');
    my $company = pick(undef, undef, @tenants);
    my %claims = (sub => $user, role => 'api_user', iat => int time);
    $claims{company_id} = Desk::id($company) if defined $company;
    my $caller = $has_sessions ? $model->session_caller($user, $company) : 401;
    return (claims => \%claims, caller => $caller) if rand() < 0.9;
    return (claims => \%claims, headers => { 'x-api-key' => Desk::token(pick(sort keys %{ $model->{keys} })) }, caller => 400);
  }
  return @{ pick(
      [ headers => {}, caller => 401 ],
      [ headers => { 'x-api-key' => 'revdesk_' . '0' x 32 }, caller => 401 ],
      [ headers => { 'x-api-key' => 'revdesk_zzz' }, caller => 401 ],
      [ headers => { authorization => 'Token x' }, caller => 401 ],
      [ headers => { 'x-api-key' => Desk::token('alpha_read'), authorization => 'ApiKey ' . Desk::token('beta_write') }, caller => 400 ]) };
}

# The drawn request: what to send, and what the model expects, under the names
#   status, body, count    of the answer
#   apply                  what a COMMIT changes in the model; gets the new id
sub draw_get
{
  my ($caller, $table) = @_;
  my ($after, $limit, $offset) = (pick(0, 0, 20, 100000), pick(1, 5, 50), pick(0, 0, 3));
  my @rows = !ref $caller ? () : grep { $_->{id} > $after } $model->readable($caller, $table);
  splice @rows, 0, $offset < @rows ? $offset : scalar @rows;
  splice @rows, $limit if @rows > $limit;
  return (
    main => "GET $table", params => [ $after, $limit, $offset ], body => Model::json($table, @rows),
    http => [ 'GET', "/$table?id=gt.$after&order=id.asc&limit=$limit&offset=$offset" ],
  );
}

# The status of a write that is allowed in general.
sub write_status
{
  my ($caller, $is_allowed, $new_status) = @_;
  return 'read only' if $caller->{access} eq 'read';
  return 'forbidden' if !$is_allowed;
  return defined $new_status && $new_status eq 'impossible' ? 400 : 200;
}

sub draw_post
{
  my ($caller, $table) = @_;
  my %row = (caller => 'made ' . int rand 1e6, status => pick(@statuses, @statuses, @statuses, 'impossible'));
  # Mostly something the caller may do.
  my @own = ref $caller ? $model->readable($caller, $table) : ();
  my $like = @own && rand() < 0.6 ? pick(@own) : undef;
  $row{tenant} = $like ? $like->{tenant} : pick(undef, @tenants) if $table ne 'notes';
  $row{owner} = $like ? $like->{owner} : pick(undef, @users) if $table ne 'trust';
  my %body = map { (Model::json_name($_) => /tenant|owner/ ? id_of($row{$_}) : $row{$_}) } keys %row;
  my $id;
  return (
    main => "POST $table", params => [ encode_json(\%body) ], writes => 1, made => $table,
    http => [ 'POST', "/$table", \%body ],
    ref $caller ? (status => write_status($caller, $model->is_own($caller, \%row), $row{status})) : (),
    body => sub { Model::json($table, { %row, id => shift }) },
    apply => sub { my $made = shift; $model->{rows}{$table}{$made} = { %row, id => $made } },
  );
}

# Any row, mostly one that the caller sees.
sub draw_row
{
  my ($caller, $table) = @_;
  my @seen = ref $caller && rand() < 0.7 ? $model->readable($caller, $table) : ();
  return pick(@seen) if @seen;
  my @ids = sort { $a <=> $b } keys %{ $model->{rows}{$table} };
  return $model->{rows}{$table}{ pick(@ids) };
}

sub draw_patch
{
  my ($caller, $table) = @_;
  my $row = draw_row($caller, $table);
  my $moves = $table ne 'notes' && rand() < 0.3;
  my %new = $moves ? (tenant => pick(undef, @tenants)) : (status => pick(@statuses, @statuses, 'impossible'));
  my ($column) = map { Model::json_name($_) } keys %new;
  my %body = ($column => $moves ? id_of($new{tenant}) : $new{status});
  my $reached = ref $caller && $model->is_own($caller, $row);
  my $after = { %$row, %new };
  my $status = !ref $caller ? undef
    : $caller->{access} eq 'read' ? 'read only'
    : !$reached ? 200
    : write_status($caller, $model->is_own($caller, $after), $new{status});
  return (
    main => "PATCH $table $column", params => [ encode_json(\%body), $row->{id} ], writes => 1, status => $status,
    http => [ 'PATCH', "/$table?id=eq.$row->{id}", \%body ],
    body => Model::json($table, $reached ? $after : ()),
    apply => sub { @$row{ keys %new } = values %new if $reached },
  );
}

sub draw_delete
{
  my ($caller, $table) = @_;
  my $row = draw_row($caller, $table);
  my $reached = ref $caller && $model->is_own($caller, $row);
  return (
    main => "DELETE $table", params => [ $row->{id} ], writes => 1,
    http => [ 'DELETE', "/$table?id=eq.$row->{id}" ],
    ref $caller ? (status => write_status($caller, 1)) : (),
    count => $reached ? 1 : 0,
    # The table must not dry up.
    rollback => keys %{ $model->{rows}{$table} } < 30,
    apply => sub { delete $model->{rows}{$table}{ $row->{id} } if $reached },
  );
}

sub draw_rpc
{
  my ($caller) = @_;
  my $function = pick(qw(count_calls count_calls add_call add_call_and_fail));
  if ($function eq 'count_calls')
  {
    my $wanted = pick(@statuses);
    my $count = !ref $caller ? 0 : grep { $_->{status} eq $wanted } $model->readable($caller, 'calls');
    return (main => 'RPC count_calls', params => [$wanted], body => qq([{"pgrst_scalar":$count}]),
      http => [ 'POST', '/rpc/count_calls', { wanted => $wanted } ]);
  }
  my %row = (caller => 'called ' . int rand 1e6, status => 'new', tenant => pick(@tenants));
  my $status = !ref $caller ? undef : write_status($caller, $model->is_own($caller, \%row), $function eq 'add_call' ? 'new' : 'impossible');
  return (
    main => "RPC $function", params => [ $row{caller}, id_of($row{tenant}) ], writes => 1, status => $status, made => 'scalar',
    http => [ 'POST', "/rpc/$function", { caller => $row{caller}, tenant_id => id_of($row{tenant}) } ],
    body => sub { '[{"pgrst_scalar":' . shift() . '}]' },
    apply => sub { my $made = shift; $model->{rows}{calls}{$made} = { %row, id => $made } },
  );
}

sub draw_account
{
  my $caller = shift;
  my $body = ref $caller ? qq([{"scope":"$caller->{scope}","access":"$caller->{access}"}]) : '';
  return (main => 'GET account', body => $body, http => [ 'GET', '/account?select=scope,access' ]);
}

sub draw_request
{
  my $has_sessions = shift;
  my %request = draw_credentials($has_sessions);
  my $table = pick(qw(calls calls trust notes));
  my $draw = pick((\&draw_get) x 8, (\&draw_post) x 3, (\&draw_patch) x 3, (\&draw_delete) x 2, (\&draw_rpc) x 3, \&draw_account);
  %request = (%request, $draw->($request{caller}, $table));
  $request{status} = $request{caller} if !ref $request{caller};
  $request{status} //= 200;
  $request{rollback} ||= rand() < 0.05;
  return \%request;
}

# Somebody changes who may do what; the other way round soon after.
sub change_something
{
  my $admin = shift;
  my $flip = sub { my ($set, $name) = @_; return $set->{$name} = !$set->{$name} };
  my $kind = int rand 4;
  if ($kind == 0)
  {
    my $tenant = pick(@tenants);
    my $verb = $flip->($model->{suspended}, $tenant) ? 'suspend' : 'resume';
    $admin->query("SELECT revdesk_${verb}_tenant('" . Desk::id($tenant) . "')");
  }
  elsif ($kind == 1)
  {
    my ($user, $tenant) = (pick(@users), pick(@tenants));
    my $verb = $flip->($model->{members}{$user}, $tenant) ? 'add' : 'remove';
    $admin->query("SELECT revdesk_${verb}_member('" . Desk::id($tenant) . "', '" . Desk::id($user) . "')");
  }
  elsif ($kind == 2)
  {
    my $user = pick(@users);
    my $verb = $flip->($model->{disabled}, $user) ? 'disable' : 'enable';
    $admin->query("SELECT revdesk_${verb}_user('" . Desk::id($user) . "')");
  }
  else
  {
    my $name = pick(sort keys %{ $model->{keys} });
    my $key = $model->{keys}{$name};
    $key->{revoked} = !$key->{revoked};
    $admin->query('UPDATE revdesk.api_keys SET revoked_at = ' . ($key->{revoked} ? 'now()' : 'NULL') . " WHERE name = '$name'");
  }
}

# More than half of all tenants, users and keys stay usable.
sub restore_all
{
  my $admin = shift;
  $admin->query("SELECT revdesk_resume_tenant('" . Desk::id($_) . "')") for grep { $model->{suspended}{$_} } @tenants;
  $admin->query("SELECT revdesk_enable_user('" . Desk::id($_) . "')") for grep { $model->{disabled}{$_} } @users;
  $admin->query('UPDATE revdesk.api_keys SET revoked_at = NULL WHERE revoked_at IS NOT NULL');
  $model->{suspended} = {};
  $model->{disabled} = {};
  $_->{revoked} = 0 for values %{ $model->{keys} };
}

my %count;
my @wrong;

# Hold an answer against the expectation, and bring the model up to date.
sub judge
{
  my ($answer, $request, $refusals, $same) = @_;
  my $expected = $refusals->{ $request->{status} } // $request->{status};
  $count{requests}++;
  if ($answer->{status} != $expected)
  {
    $count{'wrong statuses'}++;
    push @wrong, [ $request, $answer ] if @wrong < 3;
    return;
  }
  $count{ $expected == 200 ? 'answered 200' : "refused $expected" }++;
  return if $expected != 200;

  my $id = ($answer->{body} // '') =~ /"(?:id|pgrst_scalar)":(\d+)/ ? $1 : undef;
  my $body = ref $request->{body} ? $request->{body}->($id) : $request->{body};
  my $is_right = defined $request->{count} ? $answer->{count} == $request->{count} : $same->($answer->{body}, $body);
  $count{'rows returned'} += () = $answer->{body} =~ /\{/g if !defined $request->{count};
  if (!$is_right)
  {
    $count{'wrong rows'}++;
    push @wrong, [ $request, $answer, $body ] if @wrong < 3;
  }
  if ($request->{rollback})
  {
    $count{'rolled back'}++;
  }
  elsif ($request->{apply})
  {
    $count{'changes committed'}++ if $request->{apply}->($id);
  }
}

sub table_contents
{
  my $table = shift;
  return $node->safe_psql('postgres', "SELECT coalesce(json_agg(t ORDER BY id), '[]') FROM api.$table AS t");
}

sub report
{
  my $name = shift;
  is($count{'wrong rows'} // 0, 0, "$name: wrong rows");
  is($count{'wrong statuses'} // 0, 0, "$name: wrong statuses");
  diag explain $_ for @wrong;
  for my $table (qw(calls trust notes))
  {
    my $rows = $model->{rows}{$table};
    is(table_contents($table) =~ s/\s+//gr, Model::json($table, map { $rows->{$_} } sort { $a <=> $b } keys %$rows) =~ s/\s+//gr,
      "$name: $table holds what was committed, and nothing else");
  }
  cmp_ok($count{"refused $_"} // 0, '>', $count{requests} / 200, "$name: there were refusals with $_") for 400, 401, 403;
  cmp_ok($count{'answered 200'}, '>', $count{requests} / 3, "$name: there were many answers");
  cmp_ok($count{'rows returned'}, '>', $count{requests}, "$name: with many rows");
  note "$name: ", join ', ', map { "$count{$_} $_" } 'requests', grep { $_ ne 'requests' } sort keys %count;
}

# The superuser has the name of whoever made the server.
my $admin = Desk::connect_as($node, scalar getpwuid $>);
my $connection = prepare_all(Desk::connect_as($node, 'authenticator'));
my $plain = prepare_all(Desk::connect_as($node, 'plain'));

my $begin = time;
for my $i (1 .. $requests)
{
  change_something($admin) if rand() < 0.01;
  restore_all($admin) if $i % 250 == 0;

  # One request in ten goes to a layer without http_errors and without sessions.
  my $is_plain = rand() < 0.1;
  my $request = draw_request(!$is_plain);
  my $to = $is_plain ? $plain : $connection;
  my %leave = rand() < 0.05 ? (leave => 1 + int rand 4) : ();
  my $answer = $to->request(%$request, %leave);
  if (%leave)
  {
    $count{'left in the middle'}++;
    $count{requests}++;
    next;
  }
  my $refusals = $is_plain ? { forbidden => 401, 'read only' => 405 } : { forbidden => 403, 'read only' => 403 };
  judge($answer, $request, $refusals, sub { $_[0] eq $_[1] });
}
note sprintf 'seed %s, %.1f s', $seed, time - $begin;
report('five statements');
is($count{requests}, $requests, 'all of the requests were made');

# The same through PostgREST, if there is one.
SKIP:
{
  my $postgrest = Desk::find_program('postgrest');
  skip 'postgrest is not on the PATH; this part is optional', 1 if !$postgrest;

  restore_all($admin);
  %count = ();
  my $secret = 'not a secret: this server lives for a minute';
  my $port = PostgreSQL::Test::Cluster::get_free_port();
  local %ENV = (%ENV, PGRST_JWT_SECRET => $secret, PGRST_SERVER_PORT => $port, PGRST_DB_TX_END => 'commit-allow-override',
    PGRST_DB_URI => 'postgres:///postgres?host=' . $node->host . '&port=' . $node->port . '&user=authenticator');
  my $server = HttpClient::start_server($port, $postgrest, "$Desk::top/examples/postgrest/postgrest.conf");
  my $decoder = JSON::PP->new->canonical->allow_nonref;
  my $same = sub {
    my ($got, $expected) = map { eval { $decoder->encode($decoder->decode($_)) } // "no JSON: $_" } @_;
    # A scalar comes without the name that the statement gives it.
    return $got eq $expected || $expected =~ /"pgrst_scalar":\Q$got\E\}/;
  };
  for my $i (1 .. int $requests / 10)
  {
    change_something($admin) if rand() < 0.01;
    restore_all($admin) if $i % 250 == 0;
    my $request = draw_request(1);
    my ($method, $path, $body) = @{ $request->{http} };
    my %headers = (%{ $request->{headers} // {} }, prefer => 'return=representation' . ($request->{rollback} ? ', tx=rollback' : ''));
    $headers{authorization} = 'Bearer ' . HttpClient::jwt({ %{ $request->{claims} }, exp => int(time) + 60 }, $secret)
      if $request->{claims};
    my $answer = HttpClient::request($port, $method, $path, \%headers, $body);
    $answer->{status} = 200 if $answer->{status} =~ /^2/;
    $answer->{count} = () = $answer->{body} =~ /"id":/g;
    $answer->{body} = qq([{"pgrst_scalar":$answer->{body}}]) if $answer->{body} =~ /^\d+$/;
    judge($answer, $request, { forbidden => 403, 'read only' => 403 }, $same);
  }
  HttpClient::stop_server($server);
  report('postgrest');
}

done_testing();
