# An attacker inside a container: watches for processes that join it, and prints once each what it can see of them that
# is not the container's own. The next process ids are guessed, so that a new process is looked at within microseconds.
# Arguments: the number of ptrace(2), and a path that only the host has.
use strict;
use warnings;

my ($ptrace, $of_the_host) = @ARGV;
$| = 1;
my %seen;

sub note {
    my ($what) = @_;
    $what =~ s/\[\d+\]/[]/g;
    print "$what\n" unless $seen{$what}++;
}

sub look {
    my ($pid) = @_;
    my $proc = "/proc/$pid";
    my $exe = readlink "$proc/exe";
    note("exe $exe") if defined $exe;
    for my $file ("root", "cwd") {
        note("$file shows the host") if -e "$proc/$file$of_the_host" || -e "$proc/$file/..$of_the_host";
    }
    if (opendir my $fds, "$proc/fd") {
        for my $fd (grep { /\d/ } readdir $fds) {
            my $target = readlink "$proc/fd/$fd";
            note("fd $target") if defined $target;
            note("fd shows the host") if -e "$proc/fd/$fd$of_the_host";
        }
    }
    if (open my $maps, "<", "$proc/maps") {
        while (<$maps>) { note("map $1") if m{ (/\S+)} }
    }
    if (open my $environ, "<", "$proc/environ") {
        local $/;
        my $text = <$environ>;
        note("environment of the runtime") if defined $text && $text =~ /SECRET_OF_THE_RUNTIME/;
    }
    # Of one that has ended meanwhile nobody knows what it was.
    my $with = sub { my $now = readlink "$proc/exe"; note("$_[0] $now") if defined $now };
    if (open my $memory, "+<", "$proc/mem") { $with->("memory of") }
    # PTRACE_SEIZE; a tracer lets go of what it holds when that ends.
    $with->("traces") if syscall($ptrace, 0x4206, $pid, 0, 0) == 0;
    return defined $exe && $exe =~ m{^/(usr/)?bin/};
}

my $last = $$;
print "watches\n";
while (1) {
    # The runtime is told of the end of what is traced here only after this (WNOHANG and __WALL).
    waitpid -1, 0x40000001;
    for my $pid ($last + 1 .. $last + 8) {
        next unless -e "/proc/$pid";
        # Until it executes a program of the container, or is gone.
        until (look($pid) || !-e "/proc/$pid") { }
        $last = $pid;
    }
}
