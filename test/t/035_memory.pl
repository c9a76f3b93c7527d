# The extension leaves no copy of a key in a backend's memory: those that
# are there are PostgreSQL's own, as after any other function.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');
$node->safe_psql('postgres', q{CREATE FUNCTION app.idle(text) RETURNS integer LANGUAGE internal VOLATILE AS 'textlen'});

# Places in the private, writable memory of a process where a text is.
sub copies
{
	my ($pid, $text) = @_;
	my $count = 0;
	open my $maps, '<', "/proc/$pid/maps" or return;
	open my $memory, '<:raw', "/proc/$pid/mem" or return;
	while (<$maps>)
	{
		my ($begin, $end) = /^([0-9a-f]+)-([0-9a-f]+) rw.p/ or next;
		sysseek $memory, hex $begin, 0 or next;
		my ($bytes, $left) = ('', hex($end) - hex($begin));
		while ($left > 0)
		{
			my $read = sysread $memory, $bytes, $left, length $bytes;
			last unless $read;
			$left -= $read;
		}
		$count++ while $bytes =~ /\Q$text\E/g;
	}
	return $count;
}

# How many copies of the key b1 a backend has after a transaction.  pgbench runs
# it, and waits until they are counted.
my ($go, $script) = map { $node->basedir . "/$_" } ('go', 'script.sql');
system('mkfifo', $go) == 0 or die "mkfifo: $!";
sub copies_after
{
	my ($mode, $sql, %variables) = @_;
	my $backend = "pg_stat_activity WHERE application_name = 'counted'";
	unlink $script;
	append_to_file($script, "BEGIN;\n$sql;\nCOMMIT;\n\\shell cat $go\n");
	local $ENV{PGAPPNAME} = 'counted';
	my $run = IPC::Run::start(
		[ $node->installed_command('pgbench'), '-n', '-M', $mode, '-t', 1, (map { ('-D', "$_=$variables{$_}") } sort keys %variables),
			'-f', $script, '-d', $node->connstr('postgres') . ' user=api' ],
		'>', \my $stdout, '2>', \my $stderr);
	delete $ENV{PGAPPNAME};
	wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM $backend AND query = 'COMMIT;' AND state = 'idle')") or die $stderr;
	my $count = copies($node->safe_psql('postgres', "SELECT pid FROM $backend"), substr(token('b1'), 10));
	append_to_file($go, "\n");
	IPC::Run::finish($run);
	wait_until($node, 'postgres', "SELECT NOT EXISTS (SELECT FROM $backend)");
	return $count;
}

sub headers { my $key = shift; return '{"accept":"*/*","x-api-key":"' . token($key) . '","host":"x"}' }
# Two settings, of which the extension reads one.
sub both
{
	my (@settings) = @_;
	return join(",\n", map { "SELECT set_config('$settings[$_].headers', :value$_, true)" } 0, 1) =~ s/,\nSELECT/,/r . ";\nSELECT revdesk_authenticate()";
}
if (!defined copies($node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"), 'x'))
{
	plan skip_all => 'the memory of other processes cannot be read here';
}
for my $mode ('extended', 'prepared')
{
	my $plain = copies_after($mode, 'SELECT app.idle(:key)', key => token('b1'));
	cmp_ok($plain, '>', 0, "$mode: PostgreSQL's own copies are found");
	is(copies_after($mode, 'SELECT revdesk_authenticate(:key)', key => token('b1')), $plain, "threat L13: $mode: a parameter, no copies beside PostgreSQL's own");

	my @values = (value0 => headers('b1'), value1 => headers('b0'));
	my $unread = copies_after($mode, both('other', 'request'), @values);
	my $read = copies_after($mode, both('request', 'other'), @values);
	is($read, $unread, "$mode: headers, no more copies of a key that is read than of one that is not");
}

$node->stop;
done_testing();
