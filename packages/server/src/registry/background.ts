/**
 * Writes that nobody waits for. They are counted so that a closing server can wait for them, and a
 * failure is told, never swallowed.
 */
export class Background {
  private readonly running = new Set<Promise<void>>()
  private readonly failed: (error: unknown) => void

  constructor(failed: (error: unknown) => void) {
    this.failed = failed
  }

  run(work: () => Promise<unknown>): void {
    const task = work().then(
      () => void this.running.delete(task),
      (error: unknown) => {
        this.running.delete(task)
        this.failed(error)
      },
    )
    this.running.add(task)
  }

  /** When everything that was begun until now, and what it began, is through. */
  async settled(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running)
  }
}
