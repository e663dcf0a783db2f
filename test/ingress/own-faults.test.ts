import { expect, test } from 'vitest';
import { Backend } from './support/backend.ts';
import { ask } from './support/client.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

test('a fault of ours in one request is its 500 and nobody else’s', async () => {
  await using backend = await Backend.open();
  let broken = false;
  await using rig = await Rig.open(
    [
      ...service('web', backend.endpoint, '127.0.0.3:9'),
      // the limit has the thread with our dice serve it, on every engine
      ingress({ annotations: { 'load-balance': 'ewma', 'limit-rps': '1000' } }),
    ],
    {
      deps: {
        random: () => {
          if (broken) throw new Error('the dice fell off the table');
          return 0.5;
        },
      },
    },
  );
  broken = true;
  expect((await ask(rig.http)).status).toBe(500);
  broken = false;
  expect((await ask(rig.http)).status).toBe(200);
});
