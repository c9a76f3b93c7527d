# HTTP over loopback for tests: start a server, wait for it, ask it.
package HttpClient;

use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep);

my $json = JSON::PP->new->canonical->utf8->allow_nonref;
my %running;

# start_server(port, command...): returns when the port answers.
sub start_server
{
  my ($port, @command) = @_;
  my $pid = fork // die "fork: $!";
  if ($pid == 0)
  {
    open STDOUT, '>&', \*STDERR or die;
    exec @command or die "$command[0]: $!";
  }
  $running{$pid} = 1;
  for (1 .. 200)
  {
    return $pid if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
    if (waitpid($pid, WNOHANG) == $pid)
    {
      delete $running{$pid};
      die "$command[0] ended with status $?\n";
    }
    sleep 0.05;
  }
  stop_server($pid);
  die "$command[0] does not answer on port $port\n";
}

sub stop_server
{
  my $pid = shift;
  return if !delete $running{$pid};
  kill TERM => $pid;
  for (1 .. 100)
  {
    return if waitpid($pid, WNOHANG) == $pid;
    sleep 0.05;
  }
  kill KILL => $pid;
  waitpid $pid, 0;
}

END
{
  my $status = $?;
  stop_server($_) for keys %running;
  $? = $status;
}

sub jwt
{
  my ($claims, $secret) = @_;
  my $text = join '.', map { encode_base64url($json->encode($_)) } { alg => 'HS256', typ => 'JWT' }, $claims;
  return "$text." . encode_base64url(hmac_sha256($text, $secret));
}

my $client = HTTP::Tiny->new(keep_alive => 1, timeout => 20, default_headers => {});

# request(port, method, path, headers, body): the body is sent as JSON, if there is one.
sub request
{
  my ($port, $method, $path, $headers, $body) = @_;
  my $answer = $client->request($method, "http://127.0.0.1:$port$path", {
      headers => { %{ $headers // {} }, $body ? ('content-type' => 'application/json') : () },
      $body ? (content => ref $body ? $json->encode($body) : $body) : (),
    });
  return { status => $answer->{status}, headers => $answer->{headers}, body => $answer->{content} };
}

# raw(port, text of a request that closes its connection): the text of the answer.
sub raw
{
  my ($port, $text) = @_;
  my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
  print {$socket} $text;
  local $/;
  return scalar <$socket>;
}

1;
