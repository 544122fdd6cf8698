/** Debian's nginx with the configuration of serve/deploy, on ports of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { read } from './manifests.js';

const NGINX = 'nginx';
export const hasNginx = spawnSync(NGINX, ['-v']).status === 0;

/** In place of Debian's own: one process, so that its end is nginx's end, and temporary files in the folder. */
const main = (folder: string, site: string) => `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
master_process off;
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  include ${site};
}
`;

/**
 * @param ports     of the servers behind it, on this machine
 * @param children  the process is added to these, for whoever ends them
 */
export async function startNginx(folder: string, ports: readonly number[], children: ChildProcess[]): Promise<string> {
  const port = await freePort();
  const [site, file] = [join(folder, 'site.conf'), join(folder, 'nginx.conf')];
  const [, options] = /server 127\.0\.0\.1:\d+(.*);/.exec(read('serve/deploy/nginx.conf'))!;
  let text = read('serve/deploy/nginx.conf').replace(/^ *server 127.*\n/gm, '');
  text = text.replace('least_conn;', (least) =>
    [least, ...ports.map((one) => `server 127.0.0.1:${one}${options};`)].join('\n    '),
  );
  writeFileSync(site, text.replace(/listen \d+;/, `listen 127.0.0.1:${port};`));
  writeFileSync(file, main(folder, site));
  const child = spawn(NGINX, ['-p', folder, '-c', file, '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const url = `http://127.0.0.1:${port}`;
  // Whatever the answer, it listens.
  while (!(await fetch(`${url}/metrics`).catch(() => undefined))) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}: ${stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return url;
}
