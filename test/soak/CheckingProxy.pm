# A proxy between a client and the server that makes every transaction of the
# client act for a key, and looks in all that the server answers for what the
# key must not see.
#
# A connection is a process.  Keys take turns, a transaction each.

package CheckingProxy;

use strict;
use warnings;

use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_STREAM);

# new(socket => path to listen on, server => path of the server's socket,
#   journal => file for what is found, names => function,
#   begins => what the first statement is like after which the client asks
#   what is to be counted,
#   keys => [ { name, token, allowed, writes } ])
#
# names yields the names in an answer; allowed is a hash of those that a key may
# see.  writes: does every fourth transaction of the key commit?
sub new
{
	my ($class, %options) = @_;
	my $self = bless {%options}, $class;
	unlink $self->{socket};
	$self->{listener} = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $self->{socket}, Listen => 10)
	  or die "cannot listen on $self->{socket}: $!";
	$self->{pid} = fork // die "fork: $!";
	$self->accept_forever if $self->{pid} == 0;
	return $self;
}

sub stop
{
	my $self = shift;
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	return;
}

sub accept_forever
{
	my $self = shift;
	$SIG{CHLD} = 'IGNORE';
	$SIG{TERM} = 'DEFAULT';
	while (1)
	{
		my $client = $self->{listener}->accept or next;
		my $pid = fork // die "fork: $!";
		next if $pid;
		$self->{client} = $client;
		eval { $self->serve };
		$self->note("proxy $@") if $@ && $@ !~ /^end of stream/;
		$self->note("counted $self->{counts}{$_} $_") for sort keys %{ $self->{counts} };
		POSIX::_exit(0);
	}
}

sub note
{
	my ($self, $line) = @_;
	open my $journal, '>>', $self->{journal} or die "$self->{journal}: $!";
	syswrite $journal, ($line =~ s/\n/ /gr) . "\n";
	close $journal;
	return;
}

sub read_bytes
{
	my ($socket, $length) = @_;
	my $bytes = '';
	while (length $bytes < $length)
	{
		sysread($socket, $bytes, $length - length $bytes, length $bytes) or die "end of stream\n";
	}
	return $bytes;
}

sub write_bytes
{
	my ($socket, $bytes) = @_;
	while (length $bytes)
	{
		my $written = syswrite($socket, $bytes) // die "end of stream\n";
		substr($bytes, 0, $written) = '';
	}
	return;
}

# A message: its type and its body, which is without the length.
sub read_message
{
	my $socket = shift;
	my ($type, $length) = unpack 'aN', read_bytes($socket, 5);
	return ($type, read_bytes($socket, $length - 4));
}

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', 4 + length $body) . $body;
}

# All that the server says until it is ready for the next query.
sub answer
{
	my $self = shift;
	my ($answer, $type) = ('', '');
	while ($type ne 'Z')
	{
		($type, my $body) = read_message($self->{upstream});
		$answer .= message($type, $body);
	}
	return $answer;
}

sub query
{
	my ($self, $sql) = @_;
	write_bytes($self->{upstream}, message('Q', "$sql\0"));
	return $self->answer;
}

# Send on the start-up packet.  Returns false for other requests, which are refused.
sub start
{
	my $self = shift;
	my $length = read_bytes($self->{client}, 4);
	my $packet = read_bytes($self->{client}, unpack('N', $length) - 4);
	if (unpack('N', $packet) != 196608)
	{
		write_bytes($self->{client}, 'N');
		return 0;
	}
	$self->{upstream} = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $self->{server})
	  or die "cannot connect to $self->{server}: $!";
	write_bytes($self->{upstream}, $length . $packet);
	write_bytes($self->{client}, $self->answer);
	return 1;
}

# Has an answer an error in it?
sub is_error
{
	my $answer = shift;
	while (length $answer)
	{
		my ($type, $length) = unpack 'aN', $answer;
		return 1 if $type eq 'E';
		substr($answer, 0, 1 + $length) = '';
	}
	return 0;
}

# Report what an answer must not hold.  Returns whether it holds what it may.
sub look
{
	my ($self, $answer, $sql) = @_;
	my $allowed = $self->{key} ? $self->{key}{allowed} : {};
	my $shown = 0;
	for my $name ($self->{names}->($answer))
	{
		if ($allowed->{$name})
		{
			$shown = 1;
			$self->{seen}{$name}++ or $self->note("seen $name");
			next;
		}
		$self->note('LEAK ' . ($self->{key} ? $self->{key}{name} : 'no key') . " sees $name: $sql");
	}
	return $shown;
}

# The same for a statement; those under a key are counted, when the client has
# begun.
sub check
{
	my ($self, $answer, $sql) = @_;
	my $shown = $self->look($answer, $sql);
	$self->{counting} ||= $sql =~ $self->{begins};
	return unless $self->{key} && $self->{counting};
	$self->{counts}{statements}++;
	$self->{counts}{failed} += is_error($answer);
	$self->{counts}{shown} += $shown;
	return;
}

sub begin
{
	my $self = shift;
	my $answer = $self->query('BEGIN');
	$self->{key} = $self->{keys}[ $self->{turn}++ % @{ $self->{keys} } ];
	my $authenticated = $self->query("SELECT revdesk_authenticate('$self->{key}{token}')");
	$self->note("UNAUTHENTICATED $self->{key}{name}: " . ($authenticated =~ s/[^ -~]+/ /gr)) if $authenticated =~ /\AE/;
	return $answer;
}

sub end
{
	my $self = shift;
	return 'ROLLBACK' unless $self->{key} && $self->{key}{writes} && ++$self->{ends} % 4 == 0;
	return 'COMMIT';
}

sub run
{
	my ($self, $sql) = @_;
	if ($sql =~ /\ABEGIN\b/i)
	{
		return $self->begin;
	}
	if ($sql =~ /\AROLLBACK\b/i)
	{
		my $answer = $self->query($self->end);
		$self->look($answer, $sql);
		delete $self->{key};
		return $answer;
	}
	my $answer = $self->query($sql);
	$self->check($answer, $sql);
	return $answer;
}

sub serve
{
	my $self = shift;
	1 until $self->start;
	while (1)
	{
		my ($type, $body) = read_message($self->{client});
		return if $type eq 'X';
		if ($type eq 'Q')
		{
			write_bytes($self->{client}, $self->run($body =~ s/\0\z//r));
			next;
		}
		# Extended queries pass as they are.
		write_bytes($self->{upstream}, message($type, $body));
		next unless $type eq 'S';
		my $answer = $self->answer;
		$self->check($answer, 'an extended query');
		write_bytes($self->{client}, $answer);
	}
	return;
}

1;
