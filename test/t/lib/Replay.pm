# Replays requests as PostgREST sends them: five prepared statements on one
# connection, spoken in the extended query protocol, and the answer in terms of
# HTTP as PostgREST makes it of the result or of the error.
package Replay;

use strict;
use warnings;
use IO::Socket::UNIX;
use JSON::PP;

# Types of parameters that the server cannot infer where PostgREST puts them.
use constant { UNKNOWN => 0, JSON_OID => 114 };

my %plumbing = (
  read => 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY',
  write => 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
  settings => q{select set_config('search_path', $1, true), set_config('role', $2, true), }
    . q{set_config('request.jwt.claims', $3, true), set_config('request.method', $4, true), }
    . q{set_config('request.path', $5, true), set_config('request.headers', $6, true), }
    . q{set_config('request.cookies', $7, true)},
  pre_request => 'select "public"."revdesk_authenticate"()',
  commit => 'COMMIT',
  abort => 'ABORT',
);

# What comes after "WITH pgrst_source AS (...)" in every main statement.
my $envelope = q{ SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, }
  . q{coalesce(json_agg(_postgrest_t), '[]') AS body, }
  . q{nullif(current_setting('response.headers', true), '') AS response_headers, }
  . q{nullif(current_setting('response.status', true), '') AS response_status, }
  . q{'' AS response_inserted FROM ( SELECT * FROM pgrst_source ) _postgrest_t};

# PostgREST's statuses for SQLSTATEs that this extension and its callers meet.
my %status_of = (
  '25006' => 405, '28000' => 403, '42883' => 404, '42P01' => 404, 'P0001' => 400,
  '23503' => 409, '23505' => 409, '25001' => 500, '57014' => 500, '55000' => 500,
);

my $json = JSON::PP->new->canonical->utf8;

# connect(folder of the socket, port, user, database)
sub connect
{
  my ($class, $folder, $port, $user, $database) = @_;
  my $socket = IO::Socket::UNIX->new(Peer => "$folder/.s.PGSQL.$port")
    or die "cannot connect to $folder/.s.PGSQL.$port: $!";
  my $self = bless { socket => $socket, buffer => '', anon_role => 'api_user' }, $class;
  my $startup = pack('N', 196608) . "user\0$user\0database\0$database\0\0";
  $self->put(pack('N', length($startup) + 4) . $startup);
  my $error = $self->read_until_ready->{error};
  die "cannot log in as $user: $error->{M}" if $error;
  $self->prepare($_, $plumbing{$_}) for keys %plumbing;
  return $self;
}

sub put
{
  my ($self, $bytes) = @_;
  while (length $bytes)
  {
    my $written = syswrite $self->{socket}, $bytes or die "write: $!";
    substr($bytes, 0, $written) = '';
  }
}

sub need
{
  my ($self, $count) = @_;
  while (length $self->{buffer} < $count)
  {
    sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer}
      or die "the server closed the connection";
  }
}

sub read_message
{
  my $self = shift;
  $self->need(5);
  my ($type, $length) = unpack 'a N', $self->{buffer};
  $self->need($length + 1);
  my $body = substr $self->{buffer}, 5, $length - 4;
  substr($self->{buffer}, 0, $length + 1) = '';
  return ($type, $body);
}

# Returns { rows => [[...], ...], error => { C => SQLSTATE, M => ..., ... }, parsed => was a statement prepared? }.
sub read_until_ready
{
  my $self = shift;
  my %result = (rows => []);
  while (1)
  {
    my ($type, $body) = $self->read_message;
    if ($type eq 'D')
    {
      my ($count, $at, @row) = (unpack('n', $body), 2);
      for (1 .. $count)
      {
        my $length = unpack 'l>', substr $body, $at, 4;
        $at += 4;
        push @row, $length < 0 ? undef : substr $body, $at, $length;
        $at += $length if $length > 0;
      }
      push @{ $result{rows} }, \@row;
    }
    elsif ($type eq 'E')
    {
      $result{error} = { map { (substr($_, 0, 1), substr($_, 1)) } grep { length } split /\0/, $body };
    }
    elsif ($type eq '1')
    {
      $result{parsed} = 1;
    }
    elsif ($type eq 'Z')
    {
      $self->{state} = $body;
      return \%result;
    }
  }
}

# prepare(name, SQL[, type oids]): before the first execution, which sends it.
sub prepare
{
  my ($self, $name, $sql, @types) = @_;
  my $parse = "$name\0$sql\0" . pack 'n N*', scalar @types, @types;
  $self->{unparsed}{$name} = 'P' . pack('N', length($parse) + 4) . $parse;
}

# The main statement of a verb, around what is particular to it.
sub prepare_main
{
  my ($self, $name, $source, @types) = @_;
  $self->prepare($name, "WITH pgrst_source AS ($source)$envelope", @types);
}

sub execute
{
  my ($self, $name, @values) = @_;
  my $bind = "\0$name\0" . pack('n n', 0, scalar @values);
  $bind .= defined $_ ? pack('N/a*', $_) : pack 'l>', -1 for @values;
  $bind .= pack 'n', 0;
  my $execute = "\0" . pack 'N', 0;
  $self->put(($self->{unparsed}{$name} // '')
      . 'B' . pack('N', length($bind) + 4) . $bind
      . 'E' . pack('N', length($execute) + 4) . $execute
      . 'S' . pack('N', 4));
  my $result = $self->read_until_ready;
  delete $self->{unparsed}{$name} if $result->{parsed};
  return $result;
}

# Statements by the simple protocol, for what is not part of a request.
sub query
{
  my ($self, $sql) = @_;
  $self->put('Q' . pack('N', length($sql) + 5) . "$sql\0");
  my $result = $self->read_until_ready;
  die "$sql: $result->{error}{M}" if $result->{error};
  return @{ $result->{rows} };
}

# PostgREST's answer to an error.
sub error_answer
{
  my ($self, $error, $role) = @_;
  my $state = $error->{C};
  my %answer = (sqlstate => $state, headers => {}, error => $error);
  if ($state eq 'PGRST')
  {
    my $detail = eval { $json->decode($error->{D}) };
    my $body = eval { $json->decode($error->{M}) };
    return { %answer, status => 500, body => 'PGRST121' }
      unless $body && $detail && ref $detail->{headers} eq 'HASH' && $body->{code} && $body->{message};
    @answer{qw(status headers body code)} = ($detail->{status}, $detail->{headers}, $error->{M}, $body->{code});
    return \%answer;
  }
  $answer{status} = $state eq '42501' ? ($role eq $self->{anon_role} ? 401 : 403)
    : $status_of{$state} // ($state =~ /^(22|23|42)/ ? 400 : $state =~ /^(53|08)/ ? 503 : 500);
  $answer{code} = $state;
  $answer{body} = $json->encode({ code => $state, message => $error->{M}, details => $error->{D}, hint => $error->{H} });
  return \%answer;
}

# One request.
#
#   main      name of the prepared main statement, params its parameters
#   writes    READ WRITE
#   headers   a hash or the text of the setting; claims likewise
#   method, path, role
#   rollback  end with ABORT though nothing failed
#   leave     send ABORT after so many of the first four statements: the client is gone
sub request
{
  my ($self, %request) = @_;
  my $role = $request{role} // $self->{anon_role};
  my ($claims, $headers) = map { ref $_ ? $json->encode($_) : $_ }
    ($request{claims} // { role => $role }, $request{headers} // {});
  my @steps = (
    [ $request{writes} ? 'write' : 'read' ],
    [ 'settings', '"api", "public"', $role, $claims, $request{method} // 'GET',
      $request{path} // '/calls', $headers, '{}' ],
    ['pre_request'],
    [ $request{main}, @{ $request{params} // [] } ],
    [ $request{rollback} ? 'abort' : 'commit' ],
  );
  splice @steps, $request{leave}, 5, ['abort'] if defined $request{leave};
  my $answer = { status => 200, headers => {} };
  for my $step (@steps)
  {
    my $result = $self->execute(@$step);
    if ($result->{error})
    {
      $self->execute('abort') if $self->{state} ne 'I';
      return $self->error_answer($result->{error}, $role);
    }
    next if $step->[0] ne $request{main};
    my $row = $result->{rows}[0];
    @$answer{qw(count body)} = @$row[ 1, 2 ];
    $answer->{status} = $row->[4] if defined $row->[4];
    $answer->{headers} = { map { %$_ } @{ $json->decode($row->[3]) } } if defined $row->[3];
  }
  return $answer;
}

1;
