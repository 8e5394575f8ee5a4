# Net::SMPP as the SMSC: perl smsc_net_smpp.pl PORT. Says what it sees, one JSON object per line.
use strict;
use warnings;
use utf8;
use Encode qw(decode encode);
use JSON::PP;
use Net::SMPP;

my $FIRST_ID = 0x10C8F40D;    # hexadecimal in submit_sm_resp, decimal in the receipt
my $DATES = 'submit date:2601010000 done date:2601010001';
my $json = JSON::PP->new->ascii->canonical;
$| = 1;
sub say_line { print $json->encode({@_}), "\n" }

my %commands = reverse(
    submit_sm => 0x00000004, deliver_sm_resp => 0x80000005, unbind => 0x00000006,
    bind_transceiver => 0x00000009, enquire_link => 0x00000015,
);
my $listener = Net::SMPP->new_listen('127.0.0.1', port => $ARGV[0], smpp_version => 0x34, async => 1)
    or die "cannot listen: $!";
say_line(listening => 1);
my $esme = $listener->accept or die "cannot accept: $!";
my $count = 0;

sub receive {
    my ($pdu) = @_;
    my ($octets, $part) = ($pdu->{short_message}, 1);
    if ($pdu->{esm_class} & 0x40) {
        my $length = ord($octets);
        $part = ord(substr $octets, $length, 1);
        $octets = substr $octets, $length + 1;
    }
    my $text = decode($pdu->{data_coding} == 8 ? 'UTF-16BE' : 'gsm0338', $octets);
    say_line(to => $pdu->{destination_addr}, part => $part, text => $text);
    my $id = $FIRST_ID + $count++;
    my $number = int(substr $pdu->{destination_addr}, -8);
    my @addresses = (source_addr => $pdu->{destination_addr}, destination_addr => $pdu->{source_addr});
    my $answer = sub {
        $esme->submit_sm_resp(message_id => sprintf('%X', $id), seq => $pdu->{seq});
    };
    my $report = sub {
        my $body = "id:$id sub:001 dlvrd:001 $DATES stat:DELIVRD err:000 text:";
        $esme->deliver_sm(@addresses, esm_class => 4, short_message => $body);
    };
    $_->() for $number % 10 == 1 ? ($report, $answer) : ($answer, $report);    # some overtake
    if ($number % 20 == 0) {
        $esme->deliver_sm(@addresses, short_message => 'STOP');
    } elsif ($number % 10 == 0) {
        $esme->deliver_sm(@addresses, data_coding => 8, short_message => encode('UTF-16BE', '退订'));
    }
}

while (my $pdu = $esme->read_pdu) {
    my $command = $commands{$pdu->{cmd}} // '';
    if ($command eq 'submit_sm') {
        receive($pdu);
    } elsif ($command eq 'deliver_sm_resp') {
        say_line(acknowledged => $pdu->{status});
    } elsif ($command eq 'bind_transceiver') {
        my $is_right = $pdu->{system_id} eq 'shop' && $pdu->{password} eq 'secret';
        $esme->bind_transceiver_resp(
            system_id => 'perl', seq => $pdu->{seq}, status => $is_right ? 0 : 14
        );
    } elsif ($command eq 'enquire_link') {
        $esme->enquire_link_resp(seq => $pdu->{seq});
    } elsif ($command eq 'unbind') {
        $esme->unbind_resp(seq => $pdu->{seq});
        say_line(unbound => 1);
        last;
    } else {
        say_line(error => sprintf '0x%08x', $pdu->{cmd});
    }
}
