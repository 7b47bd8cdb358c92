"""Words that turn a sentence round: negations, and pairs of which only one can be true. Pure."""

import re

from neuralbridge.words import fold

NEGATING = """not no never none nobody nothing neither nor without cannot cant wont dont doesnt didnt isnt arent wasnt
    werent shouldnt wouldnt couldnt hasnt havent hadnt mustnt neednt aint nao nunca jamais nenhum nenhuma nem sem
    ninguem nada unable fail fails failed refuse refuses refused lack lacks lacked hardly impossible"""
NEGATIONS = frozenset(NEGATING.split())
# Where what a negation reaches ends
BORDERING = "but although though whereas while unless except because however mas porem embora enquanto exceto porque"
BORDERS = frozenset(BORDERING.split())
REACH = 7  # words behind a negation
# What is no negation although it has one in it, or is one in other words; in folded text
IDIOMS = [
    (re.compile(rf"\b(?:{pattern})\b"), instead)
    for pattern, instead in (
        (r"not only|nao so|nao apenas", " "),
        (r"no later than|not later than", "latest"),
        (r"(?:no|not) more than|nao mais (?:de|do que)|no greater than|not exceed(?:ing)?|not (?:be )?(?:longer|higher|larger|over|above) than?", "maximum"),  # noqa: E501
        (r"(?:no|not) (?:less|fewer) than|nao menos (?:de|do que)|not (?:be )?(?:shorter|lower|smaller|under|below) than?", "minimum"),  # noqa: E501
        (r"at most|up to|at the most|no maximo|ate ao maximo|a maximum of", "maximum"),
        (r"at least|at the least|pelo menos|no minimo|a minimum of", "minimum"),
        (r"no longer|not any more|no more|ja nao", "not"),
        (r"nothing (?:but|other than)|none other than", "only"),
        (r"whether or not|or not|if not|no matter|not necessarily|no doubt|not just", " "),
        (r"can(?:'|’)?t|can not", "cannot"),
        (r"(\w+)n(?:'|’)t", r"\1 not"),
        (r"free of charge|at no cost|at no charge|no charge|no fee|without charge|sem custos?", "free"),
        (r"instead of|rather than|em vez de", "without"),
    )
]  # fmt: skip
PAIRS = """allow forbid, allow prohibit, allow ban, permit forbid, permit prohibit, permit ban, can cannot,
    increase decrease, increase reduce, increase drop, increase fall, increase lower, rise fall, rise drop, rise decline,
    raise lower, raise reduce, raise cut, grow shrink, gain lose, win lose, more less, more fewer, most least,
    before after, earlier later, early late, first last, begin end, start end, start stop, start finish, open close, open shut,
    opened closed, minimum maximum, above below, over under, inside outside, indoors outdoors, indoor outdoor, enter leave, enter exit,
    enable disable, on off, lock unlock, connect disconnect, connected disconnected, install uninstall, include exclude, include omit,
    add remove, accept reject, accept refuse, accept decline, approve reject, approve refuse, pass fail, succeed fail, success failure,
    agree disagree, support oppose, always never, all none, everyone nobody, required optional, mandatory optional, compulsory optional,
    compulsory voluntary, mandatory voluntary, free paid, public private, internal external, manual automatic, manually automatically,
    hot cold, warm cool, warm cold, wet dry, high low, higher lower, highest lowest, long short, longer shorter, longest shortest, large small,
    larger smaller, largest smallest, big small, wide narrow, fast slow, faster slower, fastest slowest, quick slow, new old, newest oldest, young old, strong weak, heavy light,
    heavier lighter, full empty, safe dangerous, safe unsafe, easy difficult, simple complex, cheap expensive, cheaper dearer, better worse, best worst, good bad, positive negative,
    buy sell, import export, send receive, push pull, upload download, borrow lend, hire fire, hire dismiss, employer employee, landlord tenant, buyer seller,
    north south, east west, northern southern, eastern western, left right, upper lower, top bottom, front back, up down, day night, morning evening, morning afternoon,
    summer winter, monday tuesday, male female, husband wife, son daughter, father mother, brother sister, visible hidden, active inactive, direct indirect,
    odd even, horizontal vertical, temporary permanent, valid invalid, legal illegal, possible impossible, reversible irreversible, known unknown,
    refundable nonrefundable, profit loss, deposit withdraw, arrive depart, arrival departure, encrypt decrypt, compress decompress, freeze thaw, melt freeze, absent present,
    same different, single multiple, majority minority, unanimous divided, ascending descending, forward backward, forwards backwards, tighten loosen, shallow deep,
    permitir proibir, permitido proibido, autorizado proibido, aumentar diminuir, aumentar reduzir, aumentou diminuiu, aumentou reduziu, subir descer, subiu desceu, antes depois, abrir fechar, abre fecha, aberto fechado,
    minimo maximo, acima abaixo, dentro fora, incluir excluir, incluido excluido, inclui exclui, obrigatorio opcional, obrigatorio facultativo, obrigatoria opcional, obrigatoria facultativa, gratuito pago, publico privado, quente frio, alto baixo, alta baixa,
    maior menor, melhor pior, sempre nunca, todos nenhum, primeiro ultimo, primeira ultima, comecar terminar, comeca termina, inicio fim, ganhar perder, ganhou perdeu, comprar vender, aprovar rejeitar, aprovado rejeitado, aprovada rejeitada, aceitar recusar, aceite recusado,
    direita esquerda, norte sul, cedo tarde, novo velho, rapido lento, manual automatico, senhorio inquilino, entrada saida, ligar desligar, ligado desligado, mais menos, verao inverno, manha tarde, facil dificil"""  # noqa: E501
# Only one of a group fits a place
GROUPS = """monday tuesday wednesday thursday friday saturday sunday
    january february march april june july august september october november december
    spring summer autumn winter
    north south east west
    red orange yellow green blue purple brown black white grey pink
    euro dollar pound yen franc
    daily weekly monthly quarterly yearly
    segunda-feira terca-feira quarta-feira quinta-feira sexta-feira sabado domingo
    vermelho laranja amarelo verde azul roxo castanho preto branco cinzento
    diario semanal mensal trimestral anual
    mother father brother sister uncle aunt
    king queen prince princess
    bronze silver gold
    breakfast lunch dinner"""
AFFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "de")


def turned(text: str) -> str:
    """Folded text in which negations stand as such, and idioms that only look like them do not."""
    folded = fold(text).replace("’", "'")
    for pattern, instead in IDIOMS:
        folded = pattern.sub(instead, folded)
    return folded


def read_pairs(pairs: str, groups: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pair in pairs.split(","):
        one, other = pair.split()
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    for line in groups.splitlines():
        members = line.split()
        for member in members:
            found.setdefault(member, set()).update(other for other in members if other != member)
    return {word: frozenset(others) for word, others in found.items()}


OPPOSITES = read_pairs(PAIRS, GROUPS)


def opposite(one: str, other: str) -> bool:
    """Whether two folded words exclude one another, also as "able" and "unable" do."""
    if other in OPPOSITES.get(one, ()):
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= 4 and any(long == affix + short for affix in AFFIXES)
