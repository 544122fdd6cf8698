/** Text of a terminal or of a program, with a button that copies it. */
import { useState } from 'preact/hooks';
import { Scroll } from './scroll.js';

export function Copyable({ label, text }: { label: string; text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div class="copyable">
      <Scroll label={label}>
        <pre>{text}</pre>
      </Scroll>
      {/* Browsers give the clipboard to pages over HTTPS or on this machine only. */}
      {navigator.clipboard !== undefined && (
        <button type="button" onClick={copy} aria-label={`Copy: ${label}`}>
          {copied ? 'Copied' : 'Copy'}
        </button>
      )}
    </div>
  );
}
