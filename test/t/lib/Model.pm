# What each caller may see and do, worked out row by row in Perl: the expectation
# that answers of the database are held against.  It shares no code with it.
package Model;

use strict;
use warnings;

use Desk;

my %columns = (
  calls => [qw(id tenant umbrella owner caller status)],
  trust => [qw(id tenant umbrella caller status)],
  notes => [qw(id owner caller status)],
);
my %json_name = (tenant => 'tenant_id', umbrella => 'umbrella_id', owner => 'owner_id');

sub new
{
  my $class = shift;
  my %keys = map
  {
    my ($scope, $tenant, $user, $access) = @{ $Desk::keys{$_} };
    ($_ => { scope => $scope, tenant => $tenant, user => $user, access => $access, revoked => 0 });
  } keys %Desk::keys;
  my %members = map { my $user = $_; ($user => { map { ($_ => 1) } @{ $Desk::members{$user} } }) } keys %Desk::members;
  return bless {
    keys => \%keys, members => \%members, suspended => {}, disabled => {},
    rows => { map { ($_ => {}) } keys %columns },
  }, $class;
}

sub columns { return @{ $columns{ $_[0] } } }
sub json_name { return $json_name{ $_[0] } // $_[0] }

sub is_suspended
{
  my ($self, $tenant) = @_;
  return $self->{suspended}{$tenant} || $self->{suspended}{ $Desk::umbrella_of{$tenant} };
}

# The caller that a key stands for, or undef.
sub key_caller
{
  my ($self, $name) = @_;
  my $key = $self->{keys}{$name} or return;
  return if $key->{revoked};
  return if defined $key->{user} && $self->{disabled}{ $key->{user} };
  return if defined $key->{tenant} && $self->is_suspended($key->{tenant});
  return $key;
}

# The same for a session; a status instead of a caller if it is refused.
sub session_caller
{
  my ($self, $user, $company) = @_;
  return 401 if !$self->{members}{$user} || $self->{disabled}{$user};
  return { scope => 'user', user => $user, access => 'write' } if !defined $company;
  return 403 if !$self->{members}{$user}{$company} || $self->is_suspended($company);
  return { scope => $Desk::umbrella_of{$company} eq $company ? 'organization' : 'sub_entity', tenant => $company, access => 'write' };
}

# May the caller write this row?
sub is_own
{
  my ($self, $caller, $row) = @_;
  my $tenant = $row->{tenant};
  if ($caller->{scope} eq 'user')
  {
    return defined $row->{owner} && $row->{owner} eq $caller->{user} if !defined $tenant;
    return $self->{members}{ $caller->{user} }{$tenant} && !$self->is_suspended($tenant);
  }
  return 0 if !defined $tenant;
  return $tenant eq $caller->{tenant} if $caller->{scope} eq 'sub_entity';
  return $Desk::umbrella_of{$tenant} eq $caller->{tenant};
}

# May the caller read it?
sub is_readable
{
  my ($self, $caller, $table, $row) = @_;
  return 1 if $self->is_own($caller, $row);
  return $table eq 'trust' && $caller->{scope} eq 'sub_entity' && defined $row->{tenant}
    && $row->{tenant} eq $Desk::umbrella_of{ $caller->{tenant} };
}

sub readable
{
  my ($self, $caller, $table) = @_;
  my $rows = $self->{rows}{$table};
  return grep { $self->is_readable($caller, $table, $_) } map { $rows->{$_} } sort { $a <=> $b } keys %$rows;
}

# Rows as json_agg() writes them.
sub json
{
  my ($table, @rows) = @_;
  return '[' . join(", \n ", map
    {
      my $row = $_;
      '{' . join(',', map
        {
          my $value = $_ eq 'umbrella' && defined $row->{tenant} ? $Desk::umbrella_of{ $row->{tenant} } : $row->{$_};
          $value = Desk::id($value) if defined $value && $json_name{$_};
          '"' . json_name($_) . '":' . (!defined $value ? 'null' : $_ eq 'id' ? $value : qq("$value"));
        } columns($table)) . '}';
    } @rows) . ']';
}

1;
