"""What the kiosk says, in English and in Spanish (written, not translated word by word).

Both languages are in the page, so that switching needs no server. A visitor never reads why they wait: the words for every
reason are the same, and *match*, *denied*, *offender* and *flag* do not occur.
"""

from __future__ import annotations

KIOSK: dict[str, tuple[str, str]] = {
    # ── start ────────────────────────────────────────────────────────────────────────────────────────────────
    "scan.title": ("Hold your license under the scanner", "Acerque su licencia al lector"),
    "scan.lead": ("The long barcode on the back faces the light.", "El código de barras largo, el de atrás, va hacia la luz."),
    "scan.again": ("We could not read that. Please try once more, slowly.", "No pudimos leerla. Inténtelo otra vez, despacio."),
    "scan.card": (
        "That card does not say who you are. Please use your license or another ID.",
        "Esa tarjeta no dice quién es usted. Use su licencia u otra identificación.",
    ),
    "scan.badge-old": (
        "That badge has already been returned. To come in again, hold your license under the scanner.",
        "Esa credencial ya se devolvió. Para entrar de nuevo, acerque su licencia al lector.",
    ),
    "scan.other": ("Passport or other ID", "Pasaporte u otra identificación"),
    "scan.none": ("No ID today", "No traigo identificación"),
    "scan.leave": ("I am leaving", "Ya me voy"),
    "scan.reading": ("Reading…", "Leyendo…"),
    # ── camera ───────────────────────────────────────────────────────────────────────────────────────────────
    "camera.title": ("Show the barcode to the camera", "Muestre el código de barras a la cámara"),
    "camera.lead": (
        "Hold it flat, a hand’s width away. A passport goes on the reader, photo page down.",
        "Sosténgalo plano, a un palmo de distancia. El pasaporte va sobre el lector, con la foto hacia abajo.",
    ),
    "camera.none": (
        "The camera is not available. Use the scanner, or type your name.",
        "La cámara no está disponible. Use el lector o escriba su nombre.",
    ),
    "camera.type": ("Type my name instead", "Prefiero escribir mi nombre"),
    # ── without an ID ────────────────────────────────────────────────────────────────────────────────────────
    "name.title": ("What is your name?", "¿Cómo se llama?"),
    "name.lead": ("As it is on your ID. The front office will check you in.", "Como aparece en su identificación. La oficina le atenderá."),
    "name.given": ("First name", "Nombre"),
    "name.family": ("Last name", "Apellidos"),
    "name.missing": ("Please type your first and last name.", "Escriba su nombre y apellidos."),
    "born.title": ("When were you born?", "¿Cuándo nació?"),
    "born.lead": ("Month, day, year. For example 03 / 14 / 1985.", "Mes, día, año. Por ejemplo 03 / 14 / 1985."),
    "born.month": ("Month", "Mes"),
    "born.day": ("Day", "Día"),
    "born.year": ("Year", "Año"),
    "born.wrong": ("That is not a date of birth. Please check it.", "Esa no es una fecha de nacimiento. Revísela, por favor."),
    # ── why and whom ─────────────────────────────────────────────────────────────────────────────────────────
    "purpose.hello": ("Hello, {name}.", "Hola, {name}."),
    "purpose.title": ("What brings you here today?", "¿Qué le trae por aquí hoy?"),
    "purpose.none": (
        "This school has not set up its visits yet. Please see the front office.",
        "Esta escuela aún no ha configurado las visitas. Acuda a la oficina.",
    ),
    "host.title": ("Whom are you here to see?", "¿A quién viene a ver?"),
    "host.search": ("Type a name, a subject or a room", "Escriba un nombre, una materia o un salón"),
    "host.unsure": ("I am not sure", "No estoy seguro"),
    "host.nobody": ("Nobody here by that name. Check the spelling.", "No hay nadie con ese nombre. Revise cómo se escribe."),
    # ── photo ────────────────────────────────────────────────────────────────────────────────────────────────
    "photo.title": ("A photo for your badge", "Una foto para su credencial"),
    "photo.lead": (
        "Look at the camera, then press the button. It is for your badge and the school’s visitor record.",
        "Mire a la cámara y toque el botón. Es para su credencial y el registro de visitas de la escuela.",
    ),
    "photo.take": ("Take my photo", "Tomar la foto"),
    "photo.keep": ("Use this photo", "Usar esta foto"),
    "photo.again": ("Take another", "Tomar otra"),
    "photo.skip": ("Continue without a photo", "Seguir sin foto"),
    # ── done ─────────────────────────────────────────────────────────────────────────────────────────────────
    "working.title": ("One moment…", "Un momento…"),
    "working.lead": ("We are checking you in.", "Le estamos registrando."),
    "working.slow": ("This takes longer than usual. Please stay here.", "Está tardando más de lo normal. No se retire, por favor."),
    "wait.title": ("Thank you{comma_name}.", "Gracias{comma_name}."),
    "wait.lead": (
        "Please wait a moment; the front office will be with you.",
        "Espere un momento, por favor; enseguida le atenderá la oficina.",
    ),
    "already.title": ("You are checked in already.", "Ya está registrado."),
    "already.lead": ("If you need a new badge, the front office will print one for you.",
                     "Si necesita otra credencial, la oficina se la imprime."),
    "badge.where": ("Take your badge and wear it where it can be seen.", "Tome su credencial y llévela a la vista."),
    # ── leaving ──────────────────────────────────────────────────────────────────────────────────────────────
    "leave.title": ("Hold your badge under the scanner", "Acerque su credencial al lector"),
    "leave.lead": ("The square code faces the light. Then drop the badge in the box.",
                   "El código cuadrado va hacia la luz. Después deje la credencial en la caja."),
    "leave.ask": ("Are you leaving?", "¿Ya se va?"),
    "leave.ask-lead": ("That is a visitor badge of this school.", "Esta es una credencial de visitante de la escuela."),
    "leave.yes": ("Yes, check me out", "Sí, registrar mi salida"),
    "leave.no": ("No, I am staying", "No, me quedo"),
    "leave.done": ("Thank you. You are checked out.", "Gracias. Su salida quedó registrada."),
    "leave.done-lead": ("Please drop the badge in the box. See you soon.", "Deje la credencial en la caja. ¡Hasta pronto!"),
    "leave.unknown": (
        "We could not check that badge out. Please leave it at the front office.",
        "No pudimos registrar la salida con esa credencial. Déjela en la oficina.",
    ),
    "leave.license": (
        "That is an ID. Please use the badge that you were given.",
        "Eso es una identificación. Use la credencial que le dimos.",
    ),
    # ── not now ──────────────────────────────────────────────────────────────────────────────────────────────
    "closed.title": ("Check-in is closed for now", "El registro está cerrado por ahora"),
    "closed.lead": ("Please follow the directions of the staff.", "Siga las indicaciones del personal, por favor."),
    "closed.drill": ("This is a drill.", "Esto es un simulacro."),
    "offline.title": ("Please see the front office", "Acuda a la oficina, por favor"),
    "offline.lead": ("This screen cannot check you in right now. It will be back by itself.",
                     "Esta pantalla no puede registrarle en este momento. Volverá sola."),
    "trouble.title": ("Please see the front office", "Acuda a la oficina, por favor"),
    "trouble.lead": ("We could not finish here. Someone will help you right away.", "No pudimos terminar aquí. Enseguida le ayudarán."),
    # ── everywhere ───────────────────────────────────────────────────────────────────────────────────────────
    "next": ("Continue", "Continuar"),
    "back": ("Back", "Atrás"),
    "over": ("Start over", "Empezar de nuevo"),
    "done": ("Done", "Listo"),
    "still.title": ("Are you still there?", "¿Sigue ahí?"),
    "still.yes": ("Yes, I need more time", "Sí, necesito más tiempo"),
    "help": ("Need help? The front office is right here.", "¿Necesita ayuda? La oficina está aquí mismo."),
    "live.waiting": ("Connecting…", "Conectando…"),
    "live.live": ("Ready", "Listo"),
    "live.lost": ("No connection since {time}", "Sin conexión desde las {time}"),
}
