// node `smpp` as an ESME: node esme_node.js PORT MESSAGES DELIVERIES.
// Sends the messages, waits for that many deliver_sm, unbinds. One JSON object per line.
'use strict';
const fs = require('fs');
const smpp = require('smpp');

const [port, file, deliveries] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const isUcs2 = (text) => [...text].some((character) => character >= '一');
let unanswered = 0;
let awaited = Number(deliveries);

const session = smpp.connect({host: '127.0.0.1', port: Number(port)}, () => {
  session.bind_transceiver({system_id: 'shop', password: 'secret'}, (answer) => {
    say({bound: answer.command_status === 0});
    JSON.parse(fs.readFileSync(file)).forEach(submit);
  });
});

function submit({to, text}, index) {
  const [most, each] = isUcs2(text) ? [70, 67] : [160, 153];
  const size = text.length <= most ? most : each;
  const parts = [];
  for (let start = 0; start < text.length; start += size) {
    parts.push(text.slice(start, start + size));
  }
  parts.forEach((part, number) => {
    const udh = Buffer.from([5, 0, 3, index % 256, parts.length, number + 1]);
    const isLong = parts.length > 1;
    unanswered++;
    session.submit_sm({
      source_addr: '10690001',
      destination_addr: to,
      registered_delivery: 1,
      esm_class: isLong ? 0x40 : 0,
      // left alone it writes GSM 03.38 and calls it 1, IA5
      data_coding: isUcs2(part) ? 8 : 0,
      short_message: isLong ? {udh, message: part} : part,
    }, (answer) => {
      say({answered: answer.command_status, id: answer.message_id});
      unanswered--;
      leave();
    });
  });
}

function leave() {
  if (unanswered === 0 && awaited === 0) {
    session.unbind((answer) => {
      say({unbound: answer.command_status === 0});
      session.close();
    });
  }
}

session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  say({delivered: pdu.short_message.message, esm_class: pdu.esm_class});
  awaited--;
  leave();
});
session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('error', (error) => say({error: String(error)}));
