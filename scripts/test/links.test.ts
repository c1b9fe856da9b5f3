import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

const notOurs = new Set(['node_modules', 'dist', '.git'])

function pages(folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return notOurs.has(entry.name) ? [] : pages(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

test('every relative link of every page leads somewhere', () => {
  const broken: string[] = []
  for (const page of pages()) {
    const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      if (!existsSync(join(root, normalize(join(dirname(page), target)))))
        broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('every file that a page names in code quotes exists', () => {
  const missing: string[] = []
  for (const page of pages()) {
    for (const [, path = ''] of readFileSync(join(root, page), 'utf8').matchAll(
      /`((?:packages|scripts|bench|fuzz|vectors|docs)\/[\w./-]+\.\w+)`/g,
    ))
      if (!existsSync(join(root, path))) missing.push(`${page}: ${path}`)
  }
  assert.deepEqual(missing, [])
})
