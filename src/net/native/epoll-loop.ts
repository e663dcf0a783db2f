/**
 * The loop of a thread that serves connections by system calls. Everything it needs, in the order of use:
 *
 *   const seat = ThreadSeat.take<Data, Order, Reply>();           // of a SupervisedWorker
 *   const clock = new TurnClock(systemClock);
 *   const timers = new TimerWheel(clock, { slots: 512, tickMs: 10 });
 *   const loop = EpollLoop.open({ descriptors: seat.descriptors, timers, wakeFd: seat.wakeFd, clock });
 *   const { fd, port } = openStreamListener({ address, port: 0, backlog: 1_024, reusePort: false });   // any thread; throws Fault
 *   using acceptor = new Acceptor({ loop, arena }, fd, { accepted(stream, peer) { ... }, failed(failure) { ... } });
 *   seat.serve(loop, { obey(order) { ... } });                     // until the owner is disposed
 *
 * A connection is a StreamSocket (accepted, or from `dialStream`) and a ReadyHandler for it:
 *
 *   loop.add(stream, EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.EDGE, handler);   // `handler.ready(events)` is called
 *   const size = stream.receive(arena, at, sizeBytes);   // > 0 bytes, 0 the peer ended, < 0 -ERRNO.*: no exceptions
 *   const sent = stream.send(arena, at, size);           // may be less than size: keep the rest until EPOLL.OUT
 *   stream.close();                                      // leaves the loop too; later calls return -ERRNO.EBADF
 *
 * With EPOLL.EDGE read until a receive returns less than was asked for (and until 0 or -EAGAIN after EPOLL.RDHUP), and
 * send until -EAGAIN: the next event comes only after that. Without it events repeat while they hold. A handler with much
 * to do calls `loop.defer(this)` and goes on in the next turn; timeouts are one WheelTimer a connection, in `loop.timers`.
 *
 * Numbers of closed descriptors are given away again at once. Therefore nobody outside this room holds a number: a
 * StreamSocket forgets its own when it closes, and events carry the generation of the entry they were asked for, so that
 * what was reported for an earlier connection under the same number is dropped (`staleEvents` counts).
 *
 * One thread, one loop; nothing is allocated for an event or a call.
 */
import { Fault } from '../../base/fault.ts';
import { assertLayout, EPOLL, EPOLL_CTL, EPOLL_EVENT, SOCK_CLOEXEC } from './abi.ts';
import { Arena } from './arena.ts';
import { DescriptorTable } from './descriptor-table.ts';
import { ERRNO, errnoName, type Failure, orErrno } from './errno.ts';
import { WakeUp, WakeUps } from './event-fd.ts';
import type { Gathering } from './gathering.ts';
import { streamCalls } from './stream-calls.ts';
import { TimerWheel } from './timer-wheel.ts';
import type { TurnClock } from './turn-clock.ts';

/** Events taken by one wait. */
const EVENTS_MAX = 256;
/** Numbers that may be in use where a host is tried out. */
const PROOF_DESCRIPTORS = 65_536;
const GENERATION_MASK = 0x7fff_ffff;

/** Is told what a descriptor is ready for: bits of EPOLL. */
export interface ReadyHandler {
  ready(events: number): void;
}

/** Whatever can wait in a loop. */
export interface Descriptor {
  /** Negative once closed. */
  readonly fd: number;
}

export interface EpollLoopDeps {
  readonly descriptors: DescriptorTable;
  readonly timers: TimerWheel;
  /** The descriptor of a WakeUp; its owner closes it when this thread has ended. */
  readonly wakeFd: number;
  /** Read once a turn, for the timers and whoever else asks often. */
  readonly clock?: TurnClock;
  /** Needs the clock: under load events gather before the next wait. */
  readonly gathering?: Gathering;
}

export class EpollLoop implements Disposable {
  readonly descriptors: DescriptorTable;
  readonly timers: TimerWheel;
  /** Events that came for a connection that was gone already. */
  staleEvents = 0;
  readonly #epoll: number;
  readonly #wake: number;
  readonly #clock: TurnClock | undefined;
  readonly #gathering: Gathering | undefined;
  readonly #wakeUps = new WakeUps();
  readonly #arena = new Arena((EVENTS_MAX + 1) * EPOLL_EVENT.BYTES + 32);
  readonly #events = this.#arena.allocate(EVENTS_MAX * EPOLL_EVENT.BYTES);
  readonly #one = this.#arena.allocate(EPOLL_EVENT.BYTES);
  readonly #eventsAddress = this.#arena.address(this.#events, EVENTS_MAX * EPOLL_EVENT.BYTES);
  readonly #oneAddress = this.#arena.address(this.#one, EPOLL_EVENT.BYTES);
  /** By descriptor. */
  readonly #handlers: (ReadyHandler | undefined)[];
  /** By descriptor: of the entry it has now, or had last. */
  readonly #generations: Int32Array;
  readonly #calls = streamCalls();
  #deferred: ReadyHandler[] = [];
  #spare: ReadyHandler[] = [];

  private constructor(deps: EpollLoopDeps, epoll: number) {
    this.descriptors = deps.descriptors;
    this.timers = deps.timers;
    this.#epoll = epoll;
    this.#wake = deps.wakeFd;
    this.#clock = deps.clock;
    this.#gathering = deps.gathering;
    const size = deps.descriptors.memory.length;
    this.#handlers = Array.from({ length: size }, () => undefined);
    this.#generations = new Int32Array(size);
  }

  /** Throws Fault FFI, NATIVE_UNSUPPORTED, EMFILE. */
  static open(deps: EpollLoopDeps): EpollLoop {
    assertLayout();
    const epoll = deps.descriptors.adopt(orErrno(streamCalls().epoll_create1(SOCK_CLOEXEC)));
    if (epoll < 0) throw new Fault(errnoName(epoll), `no epoll: ${errnoName(epoll)}`);
    const loop = new EpollLoop(deps, epoll);
    loop.#prove();
    return loop;
  }

  /** Throws what `open` would throw on this host. */
  static prove(): void {
    using wakeUp = WakeUp.open();
    const descriptors = DescriptorTable.sized(PROOF_DESCRIPTORS);
    const timers = new TimerWheel({ monotonicMs: () => 0 }, { slots: 1, tickMs: 1 });
    EpollLoop.open({ descriptors, timers, wakeFd: wakeUp.fd })[Symbol.dispose]();
  }

  /** Watches a descriptor; its handler is called in `turn`. One entry a descriptor: EEXIST for a second. */
  add({ fd }: Descriptor, events: number, handler: ReadyHandler): 0 | Failure {
    if (fd < 0 || fd >= this.#handlers.length) return -ERRNO.EBADF;
    const generation = (this.#generations[fd]! + 1) & GENERATION_MASK;
    const failure = this.#control(EPOLL_CTL.ADD, fd, events, generation);
    if (failure < 0) return failure;
    this.#generations[fd] = generation;
    this.#handlers[fd] = handler;
    return 0;
  }

  /** Asks for other events; level-triggered ones that hold are reported at once. */
  modify({ fd }: Descriptor, events: number): 0 | Failure {
    if (fd < 0 || this.#handlers[fd] === undefined) return -ERRNO.EBADF;
    return this.#control(EPOLL_CTL.MODIFY, fd, events, this.#generations[fd]!);
  }

  /** Watches it no more; what was reported already is dropped. */
  remove({ fd }: Descriptor): void {
    if (fd < 0 || this.#handlers[fd] === undefined) return;
    this.forget(fd);
    this.#control(EPOLL_CTL.REMOVE, fd, 0, 0);
  }

  /** For owners of descriptors that close them, which takes them out of epoll by itself. */
  forget(fd: number): void {
    this.#handlers[fd] = undefined;
  }

  /** Calls `ready(0)` once the others have had their turn: for a handler that has more to do than is fair. */
  defer(handler: ReadyHandler): void {
    this.#deferred.push(handler);
  }

  /** Waits for events or the next timer, handles what came. `waitMaxMs` < 0: as long as it takes. */
  turn(waitMaxMs = -1): void {
    const count = this.#come(waitMaxMs);
    const deferred = this.#deferred;
    this.#deferred = this.#spare;
    this.#spare = deferred;
    this.#dispatch(count);
    this.timers.advance();
    for (const handler of deferred) handler.ready(0);
    deferred.length = 0;
  }

  /** Closes everything that is still open in its table of descriptors. */
  [Symbol.dispose](): void {
    this.#handlers.fill(undefined);
    this.descriptors.closeAll();
  }

  /** Until the next timer at the latest. */
  #shorter(waitMaxMs: number): number {
    const timerMs = this.timers.waitMs;
    return timerMs < 0 || (waitMaxMs >= 0 && waitMaxMs < timerMs) ? waitMaxMs : timerMs;
  }

  /** How many events came. Whoever has more to do takes those that are there. */
  #come(waitMaxMs: number): number {
    const isDone = this.#deferred.length === 0;
    if (isDone) this.#gathering?.pause();
    const count = this.#wait(isDone ? this.#shorter(waitMaxMs) : 0);
    this.#clock?.read();
    if (this.#clock) this.#gathering?.took(count, this.#clock.monotonicMs());
    return count;
  }

  #wait(timeoutMs: number): number {
    const count = this.#calls.epoll_wait(this.#epoll, this.#eventsAddress, EVENTS_MAX, timeoutMs);
    return count > 0 ? count : 0; // EINTR is an empty turn
  }

  #dispatch(count: number): void {
    const { words } = this.#arena;
    for (let i = 0; i < count; i++) {
      const at = (this.#events + i * EPOLL_EVENT.BYTES) >> 2;
      const data = at + (EPOLL_EVENT.DATA >> 2);
      const fd = words[data]!;
      const handler = this.#handlers[fd];
      if (handler === undefined || this.#generations[fd] !== words[data + 1]) this.staleEvents++;
      else handler.ready(words[at]!);
    }
  }

  #control(operation: number, fd: number, events: number, generation: number): 0 | Failure {
    const { words } = this.#arena;
    words[this.#one >> 2] = events;
    words[(this.#one + EPOLL_EVENT.DATA) >> 2] = fd;
    words[(this.#one + EPOLL_EVENT.DATA + 4) >> 2] = generation;
    return orErrno(this.#calls.epoll_ctl(this.#epoll, operation, fd, this.#oneAddress));
  }

  /** The wake-up goes in; a first one must come out where the layout says. Throws Fault NATIVE_UNSUPPORTED. */
  #prove(): void {
    let isHere = false;
    const added = this.add({ fd: this.#wake }, EPOLL.IN, {
      ready: () => {
        isHere = true;
      },
    });
    this.#calls.eventfd_write(this.#wake, 1);
    if (added === 0) this.#dispatch(this.#wait(0));
    if (!isHere) {
      this[Symbol.dispose]();
      throw new Fault('NATIVE_UNSUPPORTED', 'epoll events of this host have another layout');
    }
    this.#wakeUps.take(this.#wake);
    // a wake-up ends a wait, no more: whoever turns the loop looks what it was for
    this.#handlers[this.#wake] = { ready: () => this.#wakeUps.take(this.#wake) };
  }
}
