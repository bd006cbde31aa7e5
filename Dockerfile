# Stage 1 builds everything, the BPF objects included; stage 2 holds what runs.
FROM node:20-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends clang-19 llvm-19 make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /waggle
COPY package.json package-lock.json ./
RUN npm install --no-save --no-audit --no-fund
COPY . .
RUN make -C programs && npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends nftables \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /waggle
COPY --from=build /waggle/package.json /waggle/LICENSE ./
COPY --from=build /waggle/node_modules ./node_modules
COPY --from=build /waggle/dist ./dist
# Run with the host's network and no more than this:
#   docker run --network host --cap-drop ALL --cap-add NET_RAW --cap-add NET_ADMIN waggle up --interface eth0
# NET_RAW opens packet sockets; NET_ADMIN turns GRO off and keeps the host's stack from answering for a VIP.
ENTRYPOINT ["node", "dist/control-plane/cli/main.js"]
CMD ["--help"]
