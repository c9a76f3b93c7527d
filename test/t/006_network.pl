# A key with allowed networks opens from there only; over a unix socket there
# is no address, so it does not open at all.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use IO::Socket::IP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Has this machine an address of this kind on its loopback?
sub can_listen
{
	my $address = shift;
	return defined IO::Socket::IP->new(LocalHost => $address, LocalPort => 0, Listen => 1);
}

my @addresses = grep { can_listen($_) } ('127.0.0.1', '::1');
ok((grep { $_ eq '127.0.0.1' } @addresses), 'there is a loopback address');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
my $socket = $node->connstr('postgres');
$node->append_conf('postgresql.conf', "listen_addresses = '" . join(',', @addresses) . "'");
$node->append_conf('pg_hba.conf', "host all all 127.0.0.1/32 trust\nhost all all ::1/128 trust");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');

my $port = $node->port;
my %connections = ('unix socket' => $socket);
$connections{$_} = "host=$_ port=$port dbname=postgres" for @addresses;

# Networks, and where they open.
my %networks = (
	'127.0.0.1/32' => '127.0.0.1',
	'127.0.0.0/8' => '127.0.0.1',
	'127.0.0.2/32' => '',
	'126.0.0.0/8' => '',
	'10.0.0.0/8' => '',
	'10.0.0.0/8,192.168.0.0/16,127.0.0.0/24' => '127.0.0.1',
	'0.0.0.0/0' => '127.0.0.1',
	'::1/128' => '::1',
	'::/0' => '::1',
	'fe80::/10' => '',
	'0.0.0.0/0,::/0' => '127.0.0.1 ::1',
	# The same bits in the other family.
	'7f00:1::/32' => '',
	'::ffff:127.0.0.1/128' => '');
for my $network (sort keys %networks)
{
	$node->safe_psql('postgres', "UPDATE revdesk.api_keys SET allowed_networks = '{$network}' WHERE name = 'key a1'");
	for my $from (sort keys %connections)
	{
		my $open = grep { $_ eq $from } split / /, $networks{$network};
		my $name = "{$network} from $from";
		if ($open)
		{
			query_ok($node, 'postgres', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', "$name: opens", connstr => $connections{$from});
		}
		else
		{
			refused($node, 'postgres', 'a1', "$name: refused", connstr => $connections{$from});
		}
	}
}

# Null is anywhere; and one key's networks are not another's.
$node->safe_psql('postgres',
	"UPDATE revdesk.api_keys SET allowed_networks = NULL WHERE name = 'key a1';"
	  . "UPDATE revdesk.api_keys SET allowed_networks = '{10.0.0.0/8}' WHERE name = 'key a2'");
for my $from (sort keys %connections)
{
	query_ok($node, 'postgres', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', "no networks from $from: opens", connstr => $connections{$from});
	refused($node, 'postgres', 'a2', "another key from $from: refused", connstr => $connections{$from});
}

# A client does not choose its address.
$node->safe_psql('postgres', "UPDATE revdesk.api_keys SET allowed_networks = '{10.0.0.0/8}' WHERE name = 'key a1'");
refused($node, 'postgres', 'a1', 'headers do not count in revdesk_authenticate(text)', connstr => $connections{'127.0.0.1'} . " options='-c request.headers={\"x-forwarded-for\":\"10.0.0.1\"}'");

# A key that may be used from some networks makes none for more.
$node->safe_psql('postgres',
	"UPDATE revdesk.api_keys SET allowed_networks = '{127.0.0.0/8}' WHERE name = 'key ad';"
	  . 'GRANT EXECUTE ON FUNCTION revdesk_create_key, revdesk_rotate_key TO api');
my %made = (
	"'{127.0.0.1/32}'" => 1,
	"'{127.0.0.0/8}'" => 1,
	"'{127.1.0.0/16,127.2.0.0/16}'" => 1,
	'NULL' => 0,
	"'{126.0.0.0/7}'" => 0,
	"'{127.0.0.1/32,10.0.0.1/32}'" => 0,
	"'{0.0.0.0/0}'" => 0);
for my $network (sort keys %made)
{
	my ($stdout, $stderr) = query(
		$node, 'postgres',
		as_key('ad', "SELECT count(*) FROM revdesk_create_key('x', 'sub_entity', 'aaaaaaaa-0000-0000-0000-000000000001', allowed_networks => $network)"),
		connstr => $connections{'127.0.0.1'});
	if ($made{$network}) { is($stdout, '1', "a key for $network: made"); }
	else { like($stderr, qr/a key cannot make a key wider than itself/, "a key for $network: refused"); }
}

# The server may know clients by their names.
$node->safe_psql('postgres', "UPDATE revdesk.api_keys SET allowed_networks = '{127.0.0.0/8}' WHERE name = 'key a1'");
$node->append_conf('postgresql.conf', 'log_hostname = on');
$node->reload;
query_ok($node, 'postgres', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'log_hostname: addresses count, not names', connstr => $connections{'127.0.0.1'});

$node->stop;
done_testing();
