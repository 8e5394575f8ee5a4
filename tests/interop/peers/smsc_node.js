// node `smpp` as the SMSC: node smsc_node.js PORT. Says what it sees, one JSON object per line.
'use strict';
const smpp = require('smpp');

const FIRST_ID = 0x10C8F40D; // hexadecimal in submit_sm_resp, decimal in the receipt
const DATES = 'submit date:2601010000 done date:2601010001';
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
let count = 0;

function deliver(session, fields) {
  session.deliver_sm(fields, (answer) => say({acknowledged: answer.command_status}));
}

function receive(session, pdu) {
  const id = FIRST_ID + count++;
  const udh = pdu.short_message.udh ? pdu.short_message.udh[0] : null;
  const number = Number(pdu.destination_addr.slice(-8));
  const part = udh ? udh[udh.length - 1] : 1;
  say({to: pdu.destination_addr, part, text: pdu.short_message.message});
  const addresses = {source_addr: pdu.destination_addr, destination_addr: pdu.source_addr};
  const answer = () =>
    session.send(pdu.response({message_id: id.toString(16).toUpperCase()}));
  const report = () => deliver(session, {
    ...addresses,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 ${DATES} stat:DELIVRD err:000 text:`,
  });
  const steps = number % 10 === 1 ? [report, answer] : [answer, report]; // some overtake
  steps.forEach((step) => step());
  if (number % 10 === 0) {
    deliver(session, {...addresses, short_message: number % 20 === 0 ? 'STOP' : '退订'});
  }
}

const server = smpp.createServer((session) => {
  session.on('error', (error) => say({error: String(error)}));
  session.on('bind_transceiver', (pdu) => {
    const isRight = pdu.system_id === 'shop' && pdu.password === 'secret';
    session.send(pdu.response({system_id: 'node', command_status: isRight ? 0 : 14}));
    say({bound: isRight, version: pdu.interface_version});
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('submit_sm', (pdu) => receive(session, pdu));
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    say({unbound: true});
    session.close();
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => say({listening: true}));
