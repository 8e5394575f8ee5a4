// node `smpp` as an SMSC that is asked about messages: node smsc_node_management.js PORT.
'use strict';
const smpp = require('smpp');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const ENROUTE = 1;
const DELETED = 4; // SMPP 3.4 §5.2.28
const STATES = {};

const server = smpp.createServer((session) => {
  session.on('error', (error) => say({error: String(error)}));
  session.on('bind_transceiver', (pdu) => session.send(pdu.response({system_id: 'node'})));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('submit_sm', (pdu) => {
    STATES['A1'] = ENROUTE;
    session.send(pdu.response({message_id: 'A1'}));
  });
  session.on('data_sm', (pdu) => {
    say({data_sm: pdu.message_payload.message, to: pdu.destination_addr});
    session.send(pdu.response({message_id: 'B2'}));
  });
  session.on('query_sm', (pdu) => {
    say({query_sm: pdu.message_id, from: pdu.source_addr});
    const known = pdu.message_id in STATES;
    session.send(pdu.response({
      command_status: known ? 0 : smpp.ESME_RQUERYFAIL,
      message_id: pdu.message_id,
      message_state: known ? STATES[pdu.message_id] : 0,
    }));
  });
  session.on('cancel_sm', (pdu) => {
    say({cancel_sm: pdu.message_id, to: pdu.destination_addr});
    STATES[pdu.message_id] = DELETED;
    session.send(pdu.response());
  });
  session.on('replace_sm', (pdu) => {
    // without data_coding it is left as octets
    say({replace_sm: pdu.message_id, octets: pdu.short_message.toString('latin1')});
    session.send(pdu.response());
  });
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    say({unbound: true});
    session.close();
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => say({listening: true}));
