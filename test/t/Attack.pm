# Attacks as scripts: what sessions say, and what must or must not come back.
#
#   attack 'S02', 'SET LOCAL after a legitimate authentication', <<'CASE';
#   a> BEGIN
#   a> SELECT revdesk_authenticate('${KEY_A1}')
#   a> SET LOCAL revdesk.tenant_id = '${B}'
#   a> ROLLBACK
#   must 42501
#   mustnot CANARY_B
#   CASE
#
#   (a line that begins with a space goes on the one before)
#
#   a=owner          session a is of this role; else "su" is of postgres, the
#                    session of a role's name of that role, others of api
#   a=api|-c x=y     the same with connection options
#   a> SQL           runs it, and waits for its end; a session goes on after errors
#   a& SQL           runs it, and does not wait; "a?" does
#   $ COMMAND        runs a shell command, as the user of the server
#   must REGEX       all that came back, with SQLSTATEs, matches
#   mustnot REGEX    it does not match
#
# ${A1} is the id of tenant A1 (or user ulla), ${KEY_A1} its key; see %names.  Each
# attack has a database of its own, a copy of what Fixture makes.

package Attack;

use strict;
use warnings;

use Exporter 'import';
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(attack_begin attack attack_end);

my %names = (
	A => 'aaaaaaaa-0000-0000-0000-000000000000',
	A1 => 'aaaaaaaa-0000-0000-0000-000000000001',
	A2 => 'aaaaaaaa-0000-0000-0000-000000000002',
	B => 'bbbbbbbb-0000-0000-0000-000000000000',
	B1 => 'bbbbbbbb-0000-0000-0000-000000000001',
	ULLA => 'cccccccc-0000-0000-0000-000000000001',
	VICTOR => 'cccccccc-0000-0000-0000-000000000002',
	KEY_A => token('a0'),
	KEY_A1 => token('a1'),
	KEY_A2 => token('a2'),
	KEY_B => token('b0'),
	KEY_B1 => token('b1'),
	KEY_ULLA => token('c1'),
	KEY_VICTOR => token('c2'),
	KEY_ADMIN => token('ad'),
	KEY_READ => token('af'),
	KEY_UNKNOWN => token('ee'),
);

my ($node, $attacks);

# Start a server with the world of Fixture in the database "template", to
# which the caller may add before the first attack.
sub attack_begin
{
	my (@settings) = @_;
	$node = PostgreSQL::Test::Cluster->new('attacked');
	# The cases have texts in all scripts.
	$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', join "\n", 'max_prepared_transactions = 5', 'max_worker_processes = 16', @settings, '');
	$node->start;
	$node->safe_psql('postgres', 'CREATE DATABASE template');
	install_extension($node, 'template');
	make_data($node, 'template');
	$attacks = 0;
	return $node;
}

# One attack: a script, or code, which gets the node and the database's name
# and makes checks of its own.
sub attack
{
	my ($id, $name, $case) = @_;
	my $database = 'attack_' . ++$attacks;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template");
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	if (ref $case)
	{
		subtest "$id: $name" => sub { $case->($node, $database) };
	}
	else
	{
		my ($came_back, @expected) = run($database, $case);
		my @wrong = grep { ($came_back =~ $_->[1]) != ($_->[0] eq 'must') } @expected;
		ok(@expected && !@wrong, "$id: $name")
		  or diag(join "\n", $came_back, map { "$_->[0] $_->[1]" } @wrong);
	}
	$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");
	return;
}

sub attack_end
{
	is($node->psql('postgres', 'SELECT 1'), 0, 'the server is up');
	unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'and has been all along');
	$node->stop;
	done_testing();
	return;
}

sub session
{
	my ($database, $role, $options) = @_;
	my $connection = $node->connstr($database) . " user=$role";
	$connection .= " options='$options'" if defined $options;
	my $session = Fixture::Session->connect($node, $connection, '-v', 'VERBOSITY=verbose');
	$session->query("SET statement_timeout = '60s'");
	return $session;
}

sub default_role
{
	my $name = shift;
	return $name eq 'su' ? 'postgres' : $name eq 'owner' ? 'owner' : 'api';
}

# Returns all that came back and the expectations, [must or mustnot, regex].
sub run
{
	my ($database, $case) = @_;
	my (%sessions, @came_back, @expected);
	my %values = (%names, DATABASE => $database, HOST => $node->host, PORT => $node->port);
	$case =~ s{\n[ \t]+(?=\S)}{ }g;
	for my $line (split /\n/, $case)
	{
		next if $line =~ /^\s*(?:#|$)/;
		$line =~ s/\$\{(\w+)\}/$values{$1} \/\/ die "no \${$1} in: $line\n"/ge;
		if ($line =~ /^(must|mustnot) (.*)$/)
		{
			push @expected, [ $1, qr/$2/ ];
		}
		elsif ($line =~ /^(\w+)=(\w+)(?:\|(.*))?$/)
		{
			$sessions{$1} = session($database, $2, $3);
		}
		elsif ($line =~ /^\$ (.*)$/)
		{
			local %ENV = $node->_get_env(PGDATABASE => $database);
			push @came_back, scalar `$1 2>&1`;
		}
		elsif ($line =~ /^(\w+)([>&?]) ?(.*)$/)
		{
			my ($name, $how, $sql) = ($1, $2, $3);
			my $session = $sessions{$name} //= session($database, default_role($name));
			if ($how eq '&') { $session->start($sql) }
			elsif ($how eq '?') { push @came_back, $session->result }
			else { push @came_back, $session->query($sql) }
		}
		else
		{
			die "not understood: $line\n";
		}
	}
	$_->quit for values %sessions;
	return (join("\n", @came_back), @expected);
}

1;
