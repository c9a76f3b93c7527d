# What the tests of counters, limits and the audit log share.

package Counting;

use strict;
use warnings;

use Exporter 'import';
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(key_id preloading_node authenticate as_request counted settle flush_now wait_for_worker);

my $all_counts = 'm.requests + (SELECT sum(d) FROM unnest(m.denied) AS d)';

sub key_id { return 'dddddddd-0000-0000-0000-0000000000' . shift }

# A running server with the data of Fixture.pm, which flushes only when it is told to.
sub preloading_node
{
	my ($name, $configuration, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%options);
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'revdesk_auth'\nrevdesk.flush_interval = 3600\nautovacuum = off\nrestart_after_crash = on\n" . ($configuration // ''));
	$node->start;
	install_extension($node, 'postgres');
	make_data($node, 'postgres');
	return $node;
}

# Authenticate so many times, a transaction each; returns what is complained of.
sub authenticate
{
	my ($node, $key, $times, %options) = @_;
	my $sql = "SELECT revdesk_authenticate('" . token($key) . "') \\g /dev/null\n";
	my (undef, $stderr) = query($node, $options{database} // 'postgres', $sql x ($times // 1), %options);
	return $stderr;
}

# A request as PostgREST makes it of headers: what it prints and complains of.
sub as_request
{
	my ($node, $headers, $sql, @options) = @_;
	my $verbose = "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n";
	return query($node, 'postgres', $verbose . "BEGIN;\nSELECT set_config('request.headers', '$headers', true) \\g /dev/null\n"
		. "SELECT revdesk_authenticate() \\g /dev/null\n" . ($sql // '') . "\nCOMMIT;\n", @options);
}

# Requests of a key, or the count in this column, in the table and in memory.
sub counted
{
	my ($node, $key, $column) = @_;
	$column //= 'requests';
	my @columns = qw(unknown revoked expired environment network user tenant limit);
	my ($place) = grep { "denied_$columns[$_ - 1]" eq $column } 1 .. @columns;
	my $memory = $place ? "denied[$place]" : 'requests';
	my $id = $key eq 'none' ? '00000000-0000-0000-0000-000000000000' : key_id($key);
	return $node->safe_psql('postgres',
		"SELECT COALESCE((SELECT sum($column) FROM revdesk.key_usage WHERE key_id = '$id'), 0)"
		  . " + COALESCE((SELECT $memory FROM revdesk.usage_in_memory('$id')), 0)");
}

# Wait until nothing is left in memory.
sub settle
{
	my ($node, $database) = @_;
	return wait_until($node, $database // 'postgres',
		"SELECT NOT EXISTS (SELECT FROM revdesk.usage_in_memory() AS m WHERE $all_counts > 0)");
}

# The launcher flushes when it reloads its configuration, once it has started:
# some time after the server.
sub flush_now
{
	my $node = shift;
	wait_for_worker($node, 'count(*) > 0');
	$node->reload;
	return settle($node);
}

sub wait_for_worker
{
	my ($node, $condition) = @_;
	return wait_until($node, 'postgres',
		"SELECT $condition FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage launcher'");
}

1;
