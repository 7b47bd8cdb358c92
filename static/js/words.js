// What the page says, in each of its languages. Short, concrete, no exclamation marks; buttons are verbs.

const english = {
  lang: "en",
  // ---- fixed places on the page
  newConversation: "New conversation",
  tryNow: "Try now",
  welcome: "Ask a question. A language model on this computer answers it, and what you write stays here.",
  tryOne: "For example:",
  goBack: "Go back to the previous conversation",
  earlier: "Show earlier messages",
  below: "New text below",
  question: "Your question",
  placeholder: "Ask a question",
  send: "Send",
  stop: "Stop",
  dismiss: "Close",
  hint: "Enter sends, Shift+Enter starts a line, Esc stops",
  toComposer: "Go to the question box",
  conversation: "Conversation",
  youAsked: "You asked",
  answer: "Answer",
  askAgain: "Ask again",
  edit: "Edit",
  leaveLine: "Leave the line",
  examples: ["What is photosynthesis?", "Why is drinking water important?", "What does a compiler do?"],

  // ---- the connection
  connecting: "connecting",
  connected: "connected",
  reconnecting: "reconnecting",
  reconnectingIn: (seconds) => `reconnecting, next try in ${seconds} s`,
  serverSilent: "the server takes long to answer, trying again",
  turnedAway: (reason) => `the server did not open this conversation (${reason}), trying again`,
  since: (time) => `Not connected since ${time}.`,

  // ---- a turn
  willSend: "Will be sent as soon as the page is connected.",
  sent: "Sent.",
  inLine: (place) => (place ? `Waiting in line, place ${place}.` : "Waiting in line."),
  reading: "Reading the question.",
  emptyAnswer: "The model ended without a word. Asking in other words may help.",
  stopped: "Stopped.",
  stoppedEarly: "Stopped before it began.",
  interrupted: "Interrupted before its end. The text up to here is kept.",
  answered: "The answer is complete.",

  // ---- the receipt
  duration: (seconds) => `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`,
  tokens: (count) => (count === 1 ? "1 token" : `${count.toLocaleString("en")} tokens`),
  source: { rag: "from your documents", cache: "answered before" }, // where it is not the model
  confidence: { high: "confidence high", medium: "confidence medium", low: "confidence low" },
  cutAtLimit: "ended at the length limit",
  omitted: (count) => (count === 1 ? "1 earlier message left out" : `${count} earlier messages left out`),

  // ---- the server's configuration file
  configBroken: (mistake) => `What was saved does not apply, because it has a mistake: ${mistake}`,
  configPending: (settings) => `Applies after a restart of the server: ${settings}`,

  // ---- failures the server has no words for; it speaks English itself
  failures: {
    not_received: "The connection broke before your question arrived. Send it again when you like.",
    unknown: "Something went wrong on the server. Your conversations are safe. Ask again.",
  },
};

const portuguese = {
  lang: "pt-BR",
  newConversation: "Nova conversa",
  tryNow: "Tentar agora",
  welcome: "Faça uma pergunta. Um modelo de linguagem neste computador responde, e o que você escreve fica aqui.",
  tryOne: "Por exemplo (o modelo que vem instalado entende melhor o inglês):",
  goBack: "Voltar à conversa anterior",
  earlier: "Mostrar mensagens anteriores",
  below: "Há texto novo abaixo",
  question: "Sua pergunta",
  placeholder: "Faça uma pergunta",
  send: "Enviar",
  stop: "Parar",
  dismiss: "Fechar",
  hint: "Enter envia, Shift+Enter quebra a linha, Esc para",
  toComposer: "Ir para a caixa de pergunta",
  conversation: "Conversa",
  youAsked: "Você perguntou",
  answer: "Resposta",
  askAgain: "Perguntar de novo",
  edit: "Editar",
  leaveLine: "Sair da fila",
  examples: english.examples,

  connecting: "conectando",
  connected: "conectado",
  reconnecting: "reconectando",
  reconnectingIn: (seconds) => `reconectando em ${seconds} s`,
  serverSilent: "o servidor demora a responder, tentando de novo",
  turnedAway: (reason) => `o servidor não abriu esta conversa (${reason}), tentando de novo`,
  since: (time) => `Sem conexão desde ${time}.`,

  willSend: "Será enviada assim que a página se conectar.",
  sent: "Enviada.",
  inLine: (place) => (place ? `Na fila, posição ${place}.` : "Na fila."),
  reading: "Lendo a pergunta.",
  emptyAnswer: "O modelo terminou sem dizer nada. Perguntar com outras palavras pode ajudar.",
  stopped: "Parada.",
  stoppedEarly: "Parada antes de começar.",
  interrupted: "Interrompida antes do fim. O texto até aqui está guardado.",
  answered: "A resposta está completa.",

  duration: (seconds) => `${seconds < 10 ? seconds.toFixed(1).replace(".", ",") : Math.round(seconds)} s`,
  tokens: (count) => (count === 1 ? "1 token" : `${count.toLocaleString("pt-BR")} tokens`),
  source: { rag: "dos seus documentos", cache: "já respondida antes" },
  confidence: { high: "confiança alta", medium: "confiança média", low: "confiança baixa" },
  cutAtLimit: "terminou no limite de tamanho",
  omitted: (count) => (count === 1 ? "1 mensagem anterior ficou de fora" : `${count} mensagens anteriores ficaram de fora`),

  configBroken: (mistake) => `O que foi salvo não vale, porque tem um erro: ${mistake}`,
  configPending: (settings) => `Vale depois de reiniciar o servidor: ${settings}`,

  failures: {
    ...english.failures,
    not_received: "A conexão caiu antes de a pergunta chegar. Envie de novo quando quiser.",
    unknown: "Algo deu errado no servidor. Suas conversas estão seguras. Pergunte de novo.",
    invalid_query: "A pergunta está vazia ou passa de 32.000 caracteres.",
    invalid_params: "O servidor não aceitou um dos parâmetros da pergunta.",
    model_not_found: "O modelo pedido não existe neste servidor.",
    context_length_exceeded: "A pergunta não cabe no contexto do modelo. Encurte-a.",
    server_busy: "O servidor está ocupado. Espere um momento e envie de novo.",
    processing_failed: "O modelo falhou durante esta resposta. Pergunte de novo.",
  },
};

/** The first language of the browser's list that we speak; English otherwise. */
export function wordsFor(languages) {
  for (const language of languages) {
    if (/^pt\b/i.test(language)) return portuguese;
    if (/^en\b/i.test(language)) return english;
  }
  return english;
}
