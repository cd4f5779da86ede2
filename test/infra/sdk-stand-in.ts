/** In an SDK client's place: answers each command by its name and keeps what was asked. */
type Answers = Record<string, (input: never, call: number) => unknown>

export function standIn<Client>(answers: Answers) {
  const asked: { command: string; input: Record<string, unknown> }[] = []
  const send = async (command: { input: Record<string, unknown>; constructor: { name: string } }) => {
    const name = command.constructor.name.replace(/Command$/, '')
    const answer = answers[name]
    if (!answer) throw new Error(`the stand-in was not to be asked ${name}`)
    const call = asked.filter(one => one.command === name).length
    asked.push({ command: name, input: command.input })
    return answer(command.input as never, call)
  }
  return {
    client: { send } as unknown as Client,
    asked,
    /** Commands that change something. */
    changes: () => asked.filter(({ command }) => !/^(Describe|Get)/.test(command)),
  }
}

/** As the SDK throws: known by its name. */
export function fault(name: string, message = name): Error {
  return Object.assign(new Error(message), { name })
}
