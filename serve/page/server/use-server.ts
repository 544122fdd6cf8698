/**
 * What the server is doing, asked every second or two while the page is looked at: which models answer, and the
 * counters that the charts are drawn from.
 */
import { useEffect, useState } from 'preact/hooks';
import type { Stats } from './answers.js';
import { askJson } from './request.js';

export interface Server {
  /** `connecting` before the first answer; `gone` while it does not answer. */
  state: 'connecting' | 'loading' | 'ready' | 'gone';
  /** The last answers, the oldest first. */
  samples: Stats[];
  /** Counts the times that it came back. */
  returns: number;
}

const EVERY_MS = 1500;
const LATE_MS = 5000;
/** Of a charts' width. */
const KEPT = 200;

export function useServer(): Server {
  const [server, setServer] = useState<Server>({ state: 'connecting', samples: [], returns: 0 });
  useEffect(() => {
    let [timer, ended] = [0, false];
    const poll = async () => {
      clearTimeout(timer);
      if (document.visibilityState === 'visible') {
        const next = await sample();
        if (ended) return;
        setServer((before) => after(before, next));
      }
      timer = window.setTimeout(poll, EVERY_MS);
    };
    void poll();
    document.addEventListener('visibilitychange', poll);
    return () => {
      ended = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', poll);
    };
  }, []);
  return server;
}

/** @returns undefined without an answer, or without one in time: a server that hangs keeps its connections */
function sample(): Promise<Stats | undefined> {
  return askJson<Stats>('explain/stats', {}, AbortSignal.timeout(LATE_MS)).catch(() => undefined);
}

function after(before: Server, next: Stats | undefined): Server {
  if (next === undefined) return { ...before, state: 'gone' };
  // A restarted server counts from zero.
  const restarted = (before.samples.at(-1)?.uptime_s ?? 0) > next.uptime_s;
  const samples = [...(restarted ? [] : before.samples), next].slice(-KEPT);
  const ready = next.models.some(({ up }) => up);
  return {
    state: ready ? 'ready' : 'loading',
    samples,
    returns: before.returns + Number(ready && (before.state === 'gone' || before.state === 'loading')),
  };
}
