import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { trainCommand } from '../../cli/train.js';
import { until } from '../serve/running.js';
import type { IMPIJob } from './custom-resources.js';
import { freePort } from './free-port.js';
import { documents, read } from './manifests.js';
import { AS_USER, UID } from './read-only-root.js';

const SCRIPT = fileURLToPath(new URL('../../../train/deploy/train.sbatch', import.meta.url));
const NODES = 3;

const [job] = documents<IMPIJob>('train/deploy/mpijob.yaml');
const { Launcher, Worker } = job.spec.mpiReplicaSpecs;
const [launcher, worker] = [Launcher, Worker!].map(({ template }) => template.spec!.containers[0]);
const [mpirun, training] = split(launcher.args!, 'alexnet');

function split(words: string[], at: string): [string[], string[]] {
  return [words.slice(0, words.indexOf(at)), words.slice(words.indexOf(at))];
}

const argumentOf = (words: readonly string[], name: string) => words[words.indexOf(name) + 1];

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-training-'));
  after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Flags that `alexnet train` does not know. */
function unknownFlags([, command, ...words]: string[]): string[] {
  assert.equal(command, 'train');
  return trainCommand().exitOverride().parseOptions(words).unknown;
}

test('the MPIJob starts a process a worker, all with the data and the run mounted, which continues after a restart', () => {
  const { replicas, template } = Worker!;
  assert.equal(Number(argumentOf(mpirun, '-np')), replicas! * job.spec.slotsPerWorker!);
  assert.equal(Number(argumentOf(training, '--batch')), 128 * replicas!);
  assert.ok(Math.abs(Number(argumentOf(training, '--learning-rate')) - 0.01 * replicas!) < 1e-12);
  const mounts = worker.volumeMounts!.map(({ mountPath }) => mountPath);
  for (const flag of ['--data', '--out'])
    assert.ok(
      mounts.some((mount) => `${argumentOf(training, flag)}/`.startsWith(`${mount}/`)),
      flag,
    );
  assert.deepEqual(
    template.spec!.volumes!.map(({ name }) => name),
    worker.volumeMounts!.map(({ name }) => name),
  );
  assert.ok(training.includes('--resume'));
  assert.deepEqual([Launcher.restartPolicy, Worker!.restartPolicy], ['OnFailure', 'OnFailure']);
  assert.ok(job.spec.runPolicy!.backoffLimit! > 6);
  // Once before SIGTERM, once before SIGKILL.
  const wait = Number(argumentOf(mpirun, 'odls_base_sigkill_timeout'));
  assert.ok(Launcher.template.spec!.terminationGracePeriodSeconds! >= 2 * wait + 10);
  assert.deepEqual(unknownFlags(training), []);
});

test('the MPIJob’s sshd is the image’s', () => {
  const dockerfile = read('Dockerfile');
  const [, file] = /^COPY train\/deploy\/sshd\.conf (\S+)$/m.exec(dockerfile)!;
  assert.equal(worker.args!.at(-1), file);
  const sshd = read('train/deploy/sshd.conf');
  const port = Number(/^Port (\d+)$/m.exec(sshd)![1]);
  assert.deepEqual(
    worker.ports!.map(({ containerPort }) => containerPort),
    [port],
  );
  assert.match(read('train/deploy/ssh.conf'), new RegExp(`^ +Port ${port}$`, 'm'));
  for (const [, path] of sshd.matchAll(/^(?:HostKey|AuthorizedKeysFile) (.*)\/\w+$/gm))
    assert.equal(path, job.spec.sshAuthMountPath);
});

/** The image's two configurations with keys and port of their own; every host is this one. */
async function sshFolder() {
  const folder = temporaryFolder();
  const [keys, port] = [join(folder, 'keys'), await freePort()];
  chmodSync(folder, 0o755);
  mkdirSync(keys);
  const key = join(keys, 'id_rsa');
  spawnSync('ssh-keygen', ['-q', '-t', 'ecdsa', '-N', '', '-f', key]);
  writeFileSync(join(keys, 'authorized_keys'), spawnSync('ssh-keygen', ['-y', '-f', key]).stdout);
  // As a Secret is mounted: of another user.
  chmodSync(key, 0o644);
  const own = (file: string) =>
    read(file).replaceAll(job.spec.sshAuthMountPath!, keys).replaceAll('2222', String(port));
  const [sshd, ssh, hosts] = ['sshd.conf', 'ssh.conf', 'hostfile'].map((name) => join(folder, name));
  writeFileSync(sshd, own('train/deploy/sshd.conf'));
  writeFileSync(ssh, `${own('train/deploy/ssh.conf')}  HostName 127.0.0.1\n  IdentityFile ${key}\n`);
  const names = Array.from(
    { length: Worker!.replicas! },
    (_, i) => `alexnet-train-worker-${i}.alexnet-train.default.svc`,
  );
  writeFileSync(hosts, names.map((name) => `${name} slots=${job.spec.slotsPerWorker}\n`).join(''));
  return { folder, port, sshd, ssh, hosts };
}

function whyNoSsh(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = ['/usr/sbin/sshd', '/usr/bin/ssh', '/usr/bin/mpirun'].filter((one) => spawnSync(one, ['-V']).error);
  if (missing.length > 0) return `needs ${missing.join(', ')} (Debian: apt-get install openssh-server openmpi-bin)`;
  return spawnSync('getent', ['passwd', String(UID)]).status !== 0 && `needs a user of uid ${UID}`;
}

test('mpirun as the MPIJob calls it starts a process on every worker through the image’s sshd, without root', {
  skip: whyNoSsh(),
}, async () => {
  const { folder, port, sshd, ssh, hosts } = await sshFolder();
  const [program, ...words] = [...AS_USER, ...worker.command!, ...worker.args!.slice(0, -1), sshd];
  const server = spawn(program, words, { env: {}, stdio: 'ignore' });
  after(() => server.kill());
  const listens = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(!socket.destroy().connecting)).on('error', () =>
        resolve(false),
      );
    });
  await until(listens);
  // As the operator sets them.
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: folder,
    NODE_ENV: 'production',
    OMPI_MCA_orte_keep_fqdn_hostnames: 'true',
    OMPI_MCA_orte_default_hostfile: hosts,
    OMPI_MCA_plm_rsh_args: `-F ${ssh}`,
  };
  const show =
    'console.log([process.env.OMPI_COMM_WORLD_RANK, process.env.OMPI_COMM_WORLD_SIZE, process.env.NODE_ENV, process.getuid()].join())';
  const command = [...AS_USER, ...launcher.command!, ...mpirun, process.execPath, '-e', show];
  const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), {
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  const size = Worker!.replicas!;
  assert.deepEqual(
    stdout.trim().split('\n').sort(),
    Array.from({ length: size }, (_, i) => `${i},${size},production,${UID}`),
  );
});

/** The script, with a Slurm that notes what it is asked and whose tasks end with `status`. */
function submit(status: number, ...words: string[]) {
  const folder = temporaryFolder();
  for (const [name, code] of Object.entries({ srun: status, scontrol: 0 })) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho ${name} "$@"\nexit ${code}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  const env = {
    PATH: `${folder}:/usr/bin:/bin`,
    SLURM_NTASKS: String(NODES),
    SLURM_CPUS_PER_TASK: '8',
    SLURM_JOB_ID: '71',
  };
  const ended = spawnSync('bash', [SCRIPT, ...words], { env, encoding: 'utf8' });
  return { status: ended.status, stderr: ended.stderr, calls: ended.stdout.trim().split('\n') };
}

test('the sbatch script trains on all tasks, and puts the job in line again only if it was made to save', () => {
  const [srun, ...more] = submit(0, '/data', '/runs/a', '--epochs', '7').calls;
  assert.deepEqual(more, []);
  const [options, command] = split(srun.split(' '), 'alexnet');
  assert.ok(options.includes('--kill-on-bad-exit=1'));
  assert.equal(
    command.join(' '),
    'alexnet train --distributed mpi --data /data --model alexnet --batch 384 --learning-rate 0.03 --warmup-epochs 5 --out /runs/a --resume --epochs 7',
  );
  assert.deepEqual(unknownFlags(command), []);
  const saved = submit(143, '/data', '/runs/a');
  assert.deepEqual([saved.status, saved.calls.at(-1)], [143, 'scontrol requeue 71']);
  const failed = submit(1, '/data', '/runs/a');
  assert.deepEqual([failed.status, failed.calls.length], [1, 1]);
  const wrong = submit(0, '/data');
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.stderr, /usage: sbatch train\.sbatch DATA RUN/);
});

test('the sbatch script asks Slurm for a signal in time to save, and to be put in line again', () => {
  const options = [...read('train/deploy/train.sbatch').matchAll(/^#SBATCH (--\S+)$/gm)].map(([, option]) => option);
  assert.ok(options.includes('--requeue') && options.includes('--open-mode=append'));
  const [, signal, seconds] = /^--signal=(\w+)@(\d+)$/.exec(options.find((one) => one.startsWith('--signal'))!)!;
  assert.equal(signal, 'TERM');
  assert.ok(Number(seconds) >= 60);
});
