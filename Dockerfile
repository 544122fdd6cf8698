# Serves one exported model:
#   docker build -t alexnet .
#   docker run --rm -p 8080:8080 -v "$PWD/alexnet.onnx:/models/alexnet.onnx:ro" alexnet
# On NVIDIA GPUs, for serving and for training:
#   docker build --target cuda -t alexnet:cuda .
#   docker run --rm --gpus all -p 8080:8080 -v "$PWD/alexnet.onnx:/models/alexnet.onnx:ro" alexnet:cuda
# For training on many machines, with train/deploy/mpijob.yaml; MPI_BASE=cuda for GPUs:
#   docker build --target mpi -t alexnet:mpi .
# The other commands: docker run --rm -v "$PWD:/data" --entrypoint alexnet alexnet train --help

ARG MPI_BASE=cpu

FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY base/install base/install
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

# No install scripts: onnxruntime-node's would fetch CUDA libraries, and `prepare` needs the compiler.
FROM node:22-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY base/install base/install
RUN npm ci --omit=dev --ignore-scripts

FROM dependencies AS cuda-dependencies
# For tfjs-node-gpu, where its prebuilt binding does not fit and is compiled.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates g++ make python3 \
 && rm -rf /var/lib/apt/lists/*
# An optional peer of the project, which npm installs with --save-prod only. Its install script is run by itself: npm 12 would block
# it, and no other is to run.
RUN npm install --no-save --save-prod --omit=dev --ignore-scripts @tensorflow/tfjs-node-gpu@4.22.0 \
 && npm --prefix node_modules/@tensorflow/tfjs-node-gpu run install
RUN ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js

# onnxruntime wants CUDA 12 and cuDNN 9, libtensorflow 2.9 the libraries of CUDA 11 and cuDNN 8. Their file names differ but for
# libcurand.so.10 and libcusolver.so.11: those of CUDA 12 are found first.
FROM nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04 AS cuda
RUN apt-get update \
 && apt-get install -y --no-install-recommends cuda-libraries-11-8 libcudnn8=8.9.7.29-1+cuda11.8 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 1000 node \
 && useradd --uid 1000 --gid node --create-home node
COPY --from=build /usr/local/bin/node /usr/local/bin/node
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2 \
    LD_LIBRARY_PATH=/usr/local/cuda/lib64:/usr/local/cuda-11.8/lib64:/usr/local/nvidia/lib64
WORKDIR /app
COPY --from=cuda-dependencies /app/node_modules ./node_modules
COPY --from=build /app/package.json ./
COPY --from=build /app/dist ./dist
RUN chmod +x dist/cli/main.js && ln -s /app/dist/cli/main.js /usr/local/bin/alexnet
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/v2/health/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["alexnet", "serve", "--host", "0.0.0.0"]
CMD ["--model", "/models/alexnet.onnx"]

FROM node:22-slim AS cpu
# libvips' threads fragment glibc's heap: with few arenas the memory stays flat.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/package.json ./
COPY --from=build /app/dist ./dist
RUN chmod +x dist/cli/main.js && ln -s /app/dist/cli/main.js /usr/local/bin/alexnet
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/v2/health/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["alexnet", "serve", "--host", "0.0.0.0"]
CMD ["--model", "/models/alexnet.onnx"]

# Open MPI starts processes through ssh: the launcher's mpirun calls the workers' sshd.
FROM ${MPI_BASE} AS mpi
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends openmpi-bin openssh-client openssh-server \
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*
COPY train/deploy/sshd.conf /etc/ssh/alexnet-sshd.conf
COPY train/deploy/ssh.conf /etc/ssh/ssh_config.d/alexnet.conf
USER node
# The port that its HEALTHCHECK asks is the server's.
HEALTHCHECK NONE
ENTRYPOINT []
CMD ["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/alexnet-sshd.conf"]

# Last, so that it is what `docker build` makes.
FROM cpu
