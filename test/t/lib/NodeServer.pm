# The example server of examples/node, from a copy with its dependencies.
package NodeServer;

use strict;
use warnings;
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

use Desk;
use HttpClient;

our $secret = 'not a secret: this server lives for a minute';

sub require_program
{
  my $name = shift;
  return Desk::find_program($name)
    // give_up("$name is not on the PATH; install it (Debian: apt-get install nodejs npm)");
}

# BAIL_OUT would end the other files too.
sub give_up
{
  my $message = shift;
  Test::More::fail($message);
  Test::More::done_testing();
  exit 1;
}

# install(): a folder with the server and its dependencies, as the lock file has them.
sub install
{
  my $npm = require_program('npm');
  my $folder = PostgreSQL::Test::Utils::tempdir();
  opendir my $handle, "$Desk::top/examples/node" or die "examples/node: $!";
  -f "$Desk::top/examples/node/$_" and copy("$Desk::top/examples/node/$_", "$folder/$_") for readdir $handle;
  if (-d "$Desk::top/examples/node/node_modules")
  {
    system_or_bail('cp', '-R', "$Desk::top/examples/node/node_modules", "$folder/node_modules");
    return $folder;
  }
  # npm keeps its cache and its logs in HOME.
  local %ENV = (%ENV, HOME => PostgreSQL::Test::Utils::tempdir(), npm_config_update_notifier => 'false');
  my $status = system("cd '$folder' && '$npm' ci --no-audit --no-fund --ignore-scripts >npm.log 2>&1");
  give_up("npm ci failed; it needs the registry or examples/node/node_modules:\n" . slurp_file("$folder/npm.log")) if $status != 0;
  return $folder;
}

# start(PostgreSQL server): the port, the id of the process, and its log.
sub start
{
  my $node = shift;
  my $program = require_program('node');
  my $folder = install();
  my $port = PostgreSQL::Test::Cluster::get_free_port();
  local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PORT => $port, JWT_SECRET => $secret);
  delete $ENV{PGUSER};
  my $log = "$folder/server.log";
  my $pid = HttpClient::start_server($port, 'sh', '-c', 'exec "$0" "$1" >"$2" 2>&1', $program, "$folder/server.js", $log);
  return ($port, $pid, $log);
}

1;
