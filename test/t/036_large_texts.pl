# Whatever a text consists of, the time that it takes to look for keys in it
# grows with its length alone.
#
# The hooks of the logger cannot be interrupted, and PostgREST's callers choose
# what is in the messages.  So no time is measured here: the texts are so large
# that one step for each pair of characters would take hours, and the test's own
# timeout ends those.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $size = 24e6;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nlog_min_error_statement = panic\n");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');

# The statements end, with this in what they print and complain of.
sub ends
{
	my ($name, $sql, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($stdout, $stderr, $timed_out);
	$node->psql(
		'postgres', $sql,
		stdout => \$stdout,
		stderr => \$stderr,
		timeout => $PostgreSQL::Test::Utils::timeout_default,
		timed_out => \$timed_out,
		on_error_stop => 0);
	if ($timed_out)
	{
		fail("$name: ends");
		$node->stop('immediate');
		$node->start;
		return;
	}
	return ok("$stdout$stderr" =~ $expected, $name) || diag(substr "$stderr$stdout", 0, 1000);
}

# A text of many pieces, as an expression of SQL.
sub many
{
	my ($piece, $length) = @_;
	return sprintf "repeat(E'%s', %d)", $piece =~ s/'/''/gr, ($length // $size) / length($piece);
}

# A statement in a statement with a key in it is masked each time that it is
# parsed and begun.
my $prefix_in_decimal = join ' ', map { ord } split //, 'revdesk_';
my %texts = (
	'plain' => many('x'),
	'a constant of white space' => "':constvalue [' || " . many(' ') . " || ']'",
	'a constant of digits and white space' => "':constvalue [' || " . many('1 ') . " || ']'",
	'a constant of beginnings of keys' => "':constvalue [' || " . many($prefix_in_decimal =~ s/.$//r) . " || ']'",
	'a constant with a key behind white space' => "':constvalue [' || " . many(' ') . " || '$prefix_in_decimal]'",
	'constants without an array' => many(':constvalue'),
	'constants with one array' => many(':constvalue', $size / 2) . " || '[' || " . many('1 ', $size / 2) . " || ']'",
	'constants with one array, beginning in it' => many(':constvalue [1 ') . " || ']'",
	'constants' => many(':constvalue [1 ] '),
	'headers' => many('"x-api-key":"a"'),
	'headers without a value' => many('"authorization":'),
	'headers of white space' => many('"authorization" ' . ' ' x 100),
	'a header without an end' => "'\"authorization\":\"' || " . many('a'),
	'empty lines of a node dump' => "':stmt_len' || " . many('\n'),
	'white space in a node dump' => "':stmt_len' || " . many('\n \t'),
	'short lines of a node dump' => "':stmt_len' || " . many('a\n'),
	'long lines of a node dump' => "':stmt_len' || " . many('revdesk_' x 5 . '\n'),
	'beginnings of keys' => many('revdesk_'),
	'beginnings of keys in upper case' => many('REVDESK_'),
	'beginnings of keys with digits' => many('revdesk_1234567'),
	'one long key' => "'revdesk_' || " . many('1'),
	'keys in hexadecimal' => many('7265766465736b5f'),
	'beginnings of keys in hexadecimal' => many('7265766465736b'),
	'keys in base64' => many('cmV2ZGVza1JldmRlc2tfyZXZkZXNrX'),
	'dots' => many('.'),
	'cuts with digits' => many('...1234567'),
	'cuts with remainders' => many('...evdesk_'));
for my $name (sort keys %texts)
{
	ends($name, "DO \$\$ /* '@{[ token('a1') ]}' */ BEGIN EXECUTE '/* ' || $texts{$name} || ' */ SELECT 1'; RAISE NOTICE 'done'; END \$\$", qr/done/);
}

# A message of the server, as a request's cast can cause it.
ends('a message that goes to the log', "SELECT (':constvalue [' || " . many(' ', 1e6) . " || ']')::integer", qr/invalid input syntax/);

# Many statements in one message, with a key among them.
ends('many statements', "SELECT length('" . 'x' x 2e5 . "') \\;\nSELECT 'in' FROM revdesk_authenticate('@{[ token('a1') ]}') \\;\n" . "SELECT \\;\n" x 20_000 . "SELECT 'done';\n", qr/done/);

# What a request's headers, claims and path may be.
my %requests = (
	'a path of beginnings of keys' => [ 'request.path', many('revdesk_') ],
	'a path of keys without an end' => [ 'request.path', many('revdesk_12345678') ],
	'a header of many addresses' => [ 'request.headers', q('{"x-forwarded-for": "' || ) . many(',') . q( || '"}') ],
	'a header of white space' => [ 'request.headers', q('{"authorization": "Bearer ' || ) . many(' ') . q( || '"}') ],
	'Basic credentials' => [ 'request.headers', q('{"authorization": "Basic ' || ) . many('=') . q( || '"}') ],
	'a request id' => [ 'request.headers', q('{"x-request-id": "' || ) . many('a') . q( || '"}') ],
	'many headers' => [ 'request.headers', q('{' || ) . many('"x-api-key": 1, ') . q( || '"x": 1}') ],
	'a header of escapes' => [ 'request.headers', q('{"x-api-key": "' || ) . many('\\\\\\\\"') . q( || '"}') ],
	'many claims' => [ 'request.jwt.claims', q('{' || ) . many('"sub": "a", ') . q( || '"x": 1}') ]);
for my $name (sort keys %requests)
{
	my ($setting, $value) = @{ $requests{$name} };
	ends($name, "SET revdesk.trusted_proxies = 16; BEGIN; DO \$\$ BEGIN PERFORM set_config('$setting', $value, true); END \$\$; SELECT revdesk_authenticate();", qr/"status":40[01]/);
}

$node->stop;
done_testing();
