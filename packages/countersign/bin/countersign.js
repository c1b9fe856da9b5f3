#!/usr/bin/env node
// The version guard comes first and in plain JavaScript: an older Node cannot even parse what follows.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `countersign needs Node 24 or newer; this is ${process.versions.node}. In a checkout, "npm start" and "npx --no-install countersign" use the right one.\n`,
  )
  process.exit(1)
}
await import('../src/main.ts')
